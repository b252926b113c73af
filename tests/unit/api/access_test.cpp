#include "api/access.h"

#include <gtest/gtest.h>

namespace weir::api {
namespace {

auto asks(std::map<std::string, std::string> headers, std::string path = "/api/v1/version") -> http::Request {
  return {.method = "GET", .path = std::move(path), .headers = std::move(headers)};
}
auto status(const AccessRules& rules, const http::Request& request) -> int {
  const auto refusal = why_refused(rules, request);
  return refusal ? refusal->status : 200;
}

TEST(Access, TheSchemeOfATokenIsInAnyCase) {
  const AccessRules rules{.token = "secret"};
  for (const char* right : {"Bearer secret", "bearer secret", "BEARER  secret"}) {
    EXPECT_EQ(status(rules, asks({{"host", "localhost"}, {"authorization", right}})), 200) << right;
  }
  for (const char* wrong : {"", "secret", "Bearer", "Bearer ", "Bearersecret", "Bearer Secret", "Bearer secret ",
                            "Bearer secre", "Basic secret"}) {
    EXPECT_EQ(status(rules, asks({{"host", "localhost"}, {"authorization", wrong}})), 401) << wrong;
  }
}

TEST(Access, NamesOfThisMachineAreInAnyCase) {
  const AccessRules rules;
  for (const char* ours : {"localhost", "LOCALHOST:8474", "Localhost", "127.0.0.1:1", "127.1.2.3", "[::1]:8474"}) {
    EXPECT_EQ(status(rules, asks({{"host", ours}})), 200) << ours;
  }
  for (const char* others : {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]",
                             "128.0.0.1", "localhost:8474:1", "localhost:x"}) {
    EXPECT_EQ(status(rules, asks({{"host", others}})), 403) << others;
  }
}

TEST(Access, MetricsCanBeOpenedAlone) {
  AccessRules rules{.token = "secret", .local = false};
  const std::map<std::string, std::string> stranger{{"host", "weir:8474"}};
  EXPECT_EQ(status(rules, asks(stranger, "/metrics")), 401);
  rules.metrics_open = true;
  EXPECT_EQ(status(rules, asks(stranger, "/metrics")), 200);
  EXPECT_EQ(status(rules, asks(stranger, "/api/v1/version")), 401);
  EXPECT_EQ(status(rules, asks(stranger, "/metrics/")), 401) << "it is another path";
}

}  // namespace
}  // namespace weir::api
