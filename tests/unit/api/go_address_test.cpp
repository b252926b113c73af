#include "api/go_address.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "control/registry.h"

namespace weir::api {
namespace {

auto error(std::string_view text) -> std::string {
  const auto parsed = parse_go_listen(text);
  return parsed ? "none" : parsed.error().message;
}

TEST(GoAddress, NoHostIsAllAddresses) {
  for (const char* text : {":80", "0.0.0.0:80", "[::]:80"})
    EXPECT_EQ(parse_go_listen(text)->canonical(), ":80") << text;
  EXPECT_EQ(parse_go_listen("")->canonical(), ":0");
  EXPECT_EQ(parse_go_listen("[::]:80")->text, "[::]:80") << "as written";
  EXPECT_EQ(control::shown_listen(":80"), "[::]:80");
  EXPECT_EQ(control::shown_listen("127.0.0.1:80"), "127.0.0.1:80");
}

TEST(GoAddress, LocalhostIsIPv4) {
  const auto listen = parse_go_listen("localhost:3310");
  ASSERT_EQ(listen->addresses.size(), 1u);
  EXPECT_EQ(listen->canonical(), "127.0.0.1:3310");
}

TEST(GoAddress, RefusesInGosWords) {
  EXPECT_EQ(error("local373"), "address local373: missing port in address");
  EXPECT_EQ(error("a:b:1"), "address a:b:1: too many colons in address");
  EXPECT_EQ(error("[::1"), "address [::1: missing ']' in address");
  EXPECT_EQ(error("localhost:99999"), "address 99999: invalid port");
  EXPECT_EQ(error("localhost:http!"), "lookup tcp/http!: unknown port");
  EXPECT_EQ(error("nobody.example:80"), "lookup nobody.example: no such host");
}

TEST(GoAddress, ABindErrorReadsAsGoWritesIt) {
  EXPECT_EQ(go_listen_error(*parse_go_listen("localhost:3310"), Error{"", EADDRINUSE}),
            "listen tcp 127.0.0.1:3310: bind: address already in use");
}

TEST(GoAddress, AnyUpstreamIsTakenAndAUnixSocketIsNeverDialled) {
  EXPECT_EQ(parse_go_upstream("nonsense").text, "nonsense");
  EXPECT_TRUE(std::get<Address>(parse_go_upstream("unix:/run/docker.sock").target).is_ip());
  EXPECT_EQ(std::get<UpstreamAddress::Name>(parse_go_upstream("somehost:12345").target).port, 12345);
}

}  // namespace
}  // namespace weir::api
