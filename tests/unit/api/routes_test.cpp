// What the routes answer: sessions, health, metrics, holds, leases, and refusals by their kind.
#include <gtest/gtest.h>

#include "api_scene.h"

namespace weir::api {
namespace {

class Routes : public test::ApiScene {
 protected:
  auto error(const test::Client& client) -> std::string { return client.json()["error"].get<std::string>(); }
  auto field(const test::Client& client) -> std::string { return client.json().value("field", ""); }
};

TEST_F(Routes, WhatIsKnownHereIsAnsweredAtOnce) {
  const auto version = begin("GET", "/api/v1/version");
  ASSERT_EQ(version->status(), 200);
  EXPECT_EQ(version->json()["version"], "1.2.3");
  EXPECT_EQ(begin("GET", "/version")->response().body, "{\"version\": \"2.12.0\"}\n");
  EXPECT_EQ(begin("GET", "/api/v1/openapi.json")->status(), 200);
}

TEST_F(Routes, WhatHasToBeAskedOfTheLoopsIsAnsweredLater) {
  for (const auto* target : {"/api/v1/health", "/api/v1/sessions", "/metrics"}) {
    const auto client = begin("GET", target);
    EXPECT_FALSE(client->has_response()) << target;
    ASSERT_TRUE(comes(*client)) << target;
    EXPECT_EQ(client->status(), 200) << target;
  }
}

TEST_F(Routes, HealthAndReadinessAreTold) {
  const auto health = ask("GET", "/api/v1/health");
  EXPECT_EQ(health->json()["healthy"], true);
  EXPECT_LT(health->json()["loop_lag_seconds"].get<double>(), 1.0);
  make_proxy("db");
  EXPECT_EQ(ask("GET", "/api/v1/ready")->status(), 200);
  auto lease = leases_.open();
  ASSERT_EQ(ask("POST", "/api/v1/proxies/db/holds", "", {{"weir-lease", lease.id}})->status(), 201);
  const auto held = ask("GET", "/api/v1/ready");
  EXPECT_EQ(held->status(), 503);
  EXPECT_EQ(held->json()["not_listening"], Json::parse(R"(["db"])"));
}

TEST_F(Routes, SessionsAreListedAndClosed) {
  const auto port = make_proxy("db");
  const Fd client = connect(port);
  Json list;
  ASSERT_TRUE(test::wait_until([&] {
    list = ask("GET", "/api/v1/sessions")->json();
    return list["sessions"].size() == 1;
  }));
  EXPECT_EQ(list["partial"], false);
  EXPECT_EQ(list["left_out"], 0);
  EXPECT_EQ(list["sessions"][0]["proxy"], "db");
  EXPECT_EQ(list["sessions"][0]["session"], 1);
  EXPECT_EQ(ask("DELETE", "/api/v1/proxies/db/sessions/2")->status(), 404);
  EXPECT_EQ(ask("DELETE", "/api/v1/proxies/db/sessions/x")->status(), 404);
  EXPECT_EQ(ask("DELETE", "/api/v1/proxies/none/sessions/1")->status(), 404);
  EXPECT_EQ(ask("DELETE", "/api/v1/proxies/db/sessions/1")->status(), 204);
  EXPECT_EQ(ask("GET", "/api/v1/sessions?proxy=db")->json()["sessions"].size(), 0u) << "closed when that was said";
}

TEST_F(Routes, AWrongQuestionForSessionsIsRefusedAtOnce) {
  EXPECT_EQ(begin("GET", "/api/v1/sessions?proxy=none")->status(), 404);
  for (const auto* limit : {"0", "10001", "x", ""}) {
    const auto client = begin("GET", std::string("/api/v1/sessions?limit=") + limit);
    EXPECT_EQ(client->status(), 400) << limit;
    EXPECT_EQ(field(*client), "limit");
  }
}

TEST_F(Routes, MetricsAreWrittenByFamily) {
  make_proxy("one");
  make_proxy("t\"wo");
  const std::string text = ask("GET", "/metrics")->response().body;
  EXPECT_NE(text.find("# HELP weir_sessions_live Sessions that are open now.\n# TYPE weir_sessions_live gauge\n"
                      "weir_sessions_live{proxy=\"one\"} 0\nweir_sessions_live{proxy=\"t\\\"wo\"} 0\n# HELP"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("weir_connect_seconds_bucket{proxy=\"one\",le=\"0.0001\"} 0\n"), std::string::npos);
  EXPECT_NE(text.find("weir_connect_seconds_bucket{proxy=\"one\",le=\"+Inf\"} 0\n"), std::string::npos);
  EXPECT_NE(text.find("\nweir_api_connections 3\n"), std::string::npos);
  EXPECT_NE(text.find("\nweir_scrape_partial 0\n"), std::string::npos);
}

TEST_F(Routes, AHoldWantsALeaseAndIsMadeOnce) {
  make_proxy("db");
  const auto without = ask("POST", "/api/v1/proxies/db/holds");
  EXPECT_EQ(without->status(), 400);
  EXPECT_EQ(field(*without), "Weir-Lease");
  EXPECT_EQ(ask("POST", "/api/v1/proxies/db/holds", "", {{"weir-lease", "gone"}})->status(), 409);
  auto lease = leases_.open();
  const test::Headers mine{{"weir-lease", lease.id}, {"weir-id", "h"}};
  EXPECT_EQ(ask("POST", "/api/v1/proxies/db/holds", "", mine)->status(), 201);
  EXPECT_FALSE(proxy("db")->listening);
  const auto again = ask("POST", "/api/v1/proxies/db/holds", "", mine);
  EXPECT_EQ(again->status(), 409);
  EXPECT_EQ(error(*again), "this proxy has a hold \"h\" already");
  EXPECT_EQ(ask("DELETE", "/api/v1/proxies/db/holds/other")->status(), 404);
  EXPECT_EQ(ask("DELETE", "/api/v1/proxies/db/holds/h")->status(), 204);
  EXPECT_TRUE(proxy("db")->listening);
}

TEST_F(Routes, ANameThatIsTakenIsAConflictInBothWordings) {
  make_proxy("db");
  const auto ours = ask("POST", "/api/v1/proxies", R"({"name": "db", "upstream": "x:1"})");
  EXPECT_EQ(ours->status(), 409);
  EXPECT_EQ(field(*ours), "name");
  const auto theirs = ask("POST", "/proxies", R"({"name": "db", "upstream": "x:1"})");
  EXPECT_EQ(theirs->status(), 409);
  EXPECT_EQ(error(*theirs), "proxy already exists");
}

TEST_F(Routes, AnAddressThatIsTakenIs409ForUsAnd500ForToxiproxy) {
  make_proxy("there");
  const std::string taken = proxy("there")->listen;
  const std::string body = Json{{"name", "new"}, {"listen", taken}, {"upstream", "x:1"}}.dump();
  const auto ours = ask("POST", "/api/v1/proxies", body);
  EXPECT_EQ(ours->status(), 409);
  EXPECT_EQ(field(*ours), "listen");
  const auto theirs = ask("POST", "/proxies", body);
  EXPECT_EQ(theirs->status(), 500);
  EXPECT_EQ(error(*theirs), "listen tcp " + taken + ": bind: address already in use");
  EXPECT_EQ(proxy("new"), nullptr);
}

TEST_F(Routes, WhatIsWrongOrNotThereIsSaidSo) {
  EXPECT_EQ(ask("PATCH", "/api/v1/proxies/db", "{}")->status(), 404);
  EXPECT_EQ(error(*ask("GET", "/proxies/db")), "proxy not found");
  make_proxy("db");
  const auto wrong = ask("PATCH", "/api/v1/proxies/db", R"({"max_sessions": "many"})");
  EXPECT_EQ(wrong->status(), 400);
  EXPECT_EQ(field(*wrong), "max_sessions");
  EXPECT_EQ(ask("PATCH", "/api/v1/proxies/db", "{}", {{"if-match", "\"999\""}})->status(), 412);
  EXPECT_EQ(ask("PUT", "/api/v1/proxies/db")->status(), 405);
  EXPECT_EQ(ask("GET", "/api/v1/nothing")->status(), 404);
  EXPECT_EQ(ask("POST", "/proxies/db/toxics", R"({"type": "none"})")->status(), 400);
}

TEST_F(Routes, EveryKindOfRefusalHasItsStatus) {
  using control::RefusalKind;
  EXPECT_EQ(status_of(RefusalKind::not_found), 404);
  EXPECT_EQ(status_of(RefusalKind::conflict), 409);
  EXPECT_EQ(status_of(RefusalKind::too_many), 409);
  EXPECT_EQ(status_of(RefusalKind::cannot_listen), 409);
  EXPECT_EQ(as_toxiproxy({.kind = RefusalKind::not_found}).status, 404);
  EXPECT_EQ(as_toxiproxy({.kind = RefusalKind::conflict}).status, 409);
  EXPECT_EQ(as_toxiproxy({.kind = RefusalKind::too_many}).status, 409);
  EXPECT_EQ(as_toxiproxy({.kind = RefusalKind::cannot_listen}).status, 500);
}

TEST_F(Routes, APageMayNotAsk) {
  const auto refused = ask("POST", "/populate", many(1), {{"user-agent", "Mozilla/5.0"}});
  EXPECT_EQ(refused->status(), 403);
  EXPECT_TRUE(registry_.all().empty());
  EXPECT_EQ(ask("GET", "/proxies", "", {{"user-agent", "Mozilla/5.0"}})->status(), 403);
  EXPECT_EQ(ask("POST", "/reset", "", {{"user-agent", "Mozilla/5.0"}})->status(), 403);
}

TEST_F(Routes, ToxiproxysAnswersHaveTheirRequestId) {
  for (const auto& client : {ask("GET", "/proxies"), ask("POST", "/reset"), ask("GET", "/version"),
                             ask("POST", "/populate", "[]"), ask("POST", "/populate", "x")}) {
    EXPECT_EQ(client->header("X-Toxiproxy-Request-Id").size(), 20u);
  }
  EXPECT_EQ(ask("GET", "/nothing")->header("X-Toxiproxy-Request-Id"), "");
}

TEST_F(Routes, AProxyThatIsClosedAndOpenedByTwoRequestsInARowListens) {
  const auto port = make_proxy("db");
  std::vector<std::unique_ptr<test::Client>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(begin("PATCH", "/api/v1/proxies/db", R"({"enabled": false})"));
    clients.push_back(begin("POST", "/proxies/db", R"({"enabled": true})"));
  }
  for (const auto& client : clients) {
    ASSERT_TRUE(comes(*client));
    EXPECT_EQ(client->status(), 200) << client->response().body;
  }
  EXPECT_EQ(proxy("db")->rules.listen.addresses[0].port(), port);
  EXPECT_TRUE(proxy("db")->listening);
}

}  // namespace
}  // namespace weir::api
