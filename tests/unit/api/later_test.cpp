// Answers that come in a later turn: when they come, and what becomes of them when something is late or gone.
#include "api/later.h"

#include <gtest/gtest.h>

#include "api/proxy_text.h"
#include "api_scene.h"
#include "control/proxy_json.h"
#include "engine/holding_clock.h"

namespace weir::api {
namespace {

using test::ApiScene;

// Its workers' loops stand still while the clock is held.
struct Held {
  engine::test::HoldingClock clock_;
};
class LateLoops : private Held, public ApiScene {
 protected:
  LateLoops() : ApiScene(clock_) {}
  ~LateLoops() override { clock_.hold(false); }
  void TearDown() override {
    clock_.hold(false);
    EXPECT_TRUE(engine_->stop(std::chrono::seconds{5}));
  }
  void release() { clock_.hold(false); }
  // From its return on both loops stand, and take nothing that is posted to them.
  void hold() {
    const int before = clock_.held();
    clock_.hold(true);
    ASSERT_TRUE(test::wait_until([&] {
      engine_->loop_lag({*loop_, std::chrono::milliseconds{0}}, [](Nanos) {});  // wakes them
      return clock_.held() >= before + 2;
    }));
  }
};

constexpr auto latency = R"({"type": "latency", "latency": "1ms", "name": "late"})";

TEST_F(LateLoops, AChangeIsAnsweredWhenEveryWorkerHasTakenItAndOthersAreServedMeanwhile) {
  make_proxy("db");
  hold();
  const auto change = begin("POST", "/api/v1/proxies/db/faults", latency);
  const auto toxic = begin("POST", "/proxies/db/toxics", R"({"type": "latency", "name": "two"})");
  turn();
  EXPECT_FALSE(change->has_response());
  EXPECT_FALSE(toxic->has_response());
  EXPECT_NE(proxy("db")->faults->find("late"), nullptr) << "on the control thread it is so already";
  EXPECT_EQ(ask("GET", "/api/v1/version")->status(), 200);
  EXPECT_EQ(ask("GET", "/api/v1/catalog")->status(), 200);
  const auto told = begin("GET", "/api/v1/proxies/db/faults");
  const auto list = begin("GET", "/proxies");
  turn();
  EXPECT_FALSE(told->has_response()) << "nor is anybody else told of it before";
  EXPECT_FALSE(list->has_response());
  release();
  ASSERT_TRUE(comes(*change));
  EXPECT_EQ(change->status(), 201);
  ASSERT_TRUE(comes(*toxic));
  EXPECT_EQ(toxic->status(), 200);
  ASSERT_TRUE(comes(*told));
  EXPECT_EQ(told->json()["faults"].size(), 2u);
  ASSERT_TRUE(comes(*list));
}

TEST_F(LateLoops, WhatChangedNothingWaitsForNobody) {
  make_proxy("db");
  hold();
  const auto refused = begin("POST", "/api/v1/proxies", R"({"name": "db", "upstream": "x:1"})");
  EXPECT_EQ(refused->status(), 409);
  EXPECT_EQ(begin("DELETE", "/proxies/none")->status(), 404);
  EXPECT_EQ(begin("GET", "/api/v1/proxies/db")->status(), 200);
}

TEST_F(LateLoops, AChangeIsAnsweredAfterThePatienceIfALoopIsLate) {
  make_proxy("db");
  hold();
  EXPECT_EQ(ask("POST", "/api/v1/proxies/db/faults", latency)->status(), 201);
  EXPECT_EQ(begin("GET", "/api/v1/proxies/db/faults")->status(), 200) << "it was waited for once";
}

TEST_F(LateLoops, WhoAsksForSessionsHearsThatSomeAreMissing) {
  hold();
  const auto list = begin("GET", "/api/v1/sessions");
  const auto closed = begin("DELETE", "/api/v1/proxies/db/sessions/1");
  EXPECT_EQ(closed->status(), 404) << "there is no such proxy, which is known here";
  turn();
  EXPECT_FALSE(list->has_response());
  ASSERT_TRUE(comes(*list));
  EXPECT_EQ(list->status(), 200);
  EXPECT_EQ(list->json()["partial"], true);
}

TEST_F(LateLoops, ASessionThatALateLoopMayHaveIsNotSaidToBeUnknown) {
  make_proxy("db");
  hold();
  const auto closed = ask("DELETE", "/api/v1/proxies/db/sessions/1");
  EXPECT_EQ(closed->status(), 503);
}

TEST_F(LateLoops, ALateLoopIsNoGoodHealthAndAPartialScrape) {
  EXPECT_EQ(ask("GET", "/api/v1/health")->json()["healthy"], true);
  hold();
  const auto health = begin("GET", "/api/v1/health");
  const auto scrape = begin("GET", "/metrics");
  ASSERT_TRUE(comes(*health));
  EXPECT_EQ(health->status(), 503);
  EXPECT_EQ(health->json()["healthy"], false);
  EXPECT_GE(health->json()["loop_lag_seconds"].get<double>(), 1.0);
  ASSERT_TRUE(comes(*scrape));
  EXPECT_NE(scrape->response().body.find("\nweir_scrape_partial 1\n"), std::string::npos);
}

TEST_F(LateLoops, AClientThatLeavesMeanwhileIsNobodysTrouble) {
  make_proxy("db");
  hold();
  std::vector<std::unique_ptr<test::Client>> clients;
  for (const auto* target : {"/api/v1/sessions", "/api/v1/health", "/metrics", "/proxies"}) {
    clients.push_back(begin("GET", target));
  }
  clients.push_back(begin("POST", "/api/v1/proxies/db/faults", latency));
  clients.push_back(begin("POST", "/populate", many(50)));
  clients[0]->leave();
  clients[4]->leave();
  clients.erase(clients.begin() + 1, clients.begin() + 4);
  clients.pop_back();
  release();
  ASSERT_TRUE(test::wait_until([&] {
    turn(1);
    return registry_.all().size() == 51 && engine_->is_settled() && lists_.waiting() == 0;
  })) << "what was asked for is done";
  EXPECT_NE(proxy("db")->faults->find("late"), nullptr);
  for (const auto& client : clients) EXPECT_FALSE(client->has_response());
}

using InTurns = ApiScene;

TEST_F(InTurns, AChangeOfManyLetsOthersThrough) {
  const auto populate = begin("POST", "/populate", many(400));
  EXPECT_FALSE(populate->has_response());
  EXPECT_EQ(begin("GET", "/api/v1/version")->status(), 200);
  EXPECT_EQ(ask("GET", "/api/v1/health")->status(), 200);
  EXPECT_FALSE(populate->has_response()) << "a loop was asked while it went on";
  ASSERT_TRUE(comes(*populate));
  EXPECT_EQ(populate->status(), 201);
  EXPECT_EQ(populate->json()["proxies"].size(), 400u);
  EXPECT_EQ(populate->json()["proxies"][7]["name"], "p00007");
  EXPECT_EQ(ask("GET", "/proxies")->json().size(), 400u);
  EXPECT_EQ(ask("GET", "/api/v1/proxies")->json()["proxies"].size(), 400u);
}

TEST_F(InTurns, OneChangeOfManyComesAfterTheOther) {
  const auto first = begin("POST", "/populate", many(200));
  const auto reset = begin("POST", "/reset");
  const auto second = begin("POST", "/populate", many(1));
  ASSERT_TRUE(comes(*reset));
  EXPECT_TRUE(first->has_response());
  EXPECT_EQ(reset->status(), 204);
  ASSERT_TRUE(comes(*second));
  EXPECT_EQ(second->json()["proxies"].size(), 1u);
  EXPECT_EQ(registry_.all().size(), 200u);
}

TEST_F(InTurns, AListOfManyMeetsWhatStaysWhileOthersComeAndGo) {
  ASSERT_EQ(ask("POST", "/populate", many(300))->status(), 201);
  const auto list = begin("GET", "/api/v1/proxies");
  ASSERT_FALSE(list->has_response());
  registry_.remove("p00000");
  registry_.remove("p00299");
  ASSERT_TRUE(comes(*list));
  std::set<std::string> names;
  const Json told = list->json();
  for (const auto& each : told["proxies"]) names.insert(each["name"]);
  for (int i = 1; i < 299; ++i) EXPECT_TRUE(names.contains(fmt::format("p{:05}", i))) << i;
  EXPECT_FALSE(names.contains("p00299"));
}

// `faults` of them, a third of which toxiproxy does not know.
auto with_faults(const std::string& name, int faults) -> std::string {
  Json all = Json::array();
  for (int i = 0; i < faults; ++i) {
    const char* direction = i % 2 == 0 ? "upstream" : "downstream";
    all.push_back({{"type", "latency"}, {"name", fmt::format("f{}", i)}, {"latency", "1ms"}, {"direction", direction}});
    if (i % 3 == 0) all.back()["after"] = "1h";
  }
  return Json{{"name", name}, {"upstream", "127.0.0.1:1"}, {"faults", std::move(all)}}.dump();
}

// In how many steps the text comes, and what it is.
template <class Text>
auto steps_of(Text text) -> std::pair<int, std::string> {
  std::pair<int, std::string> done{1, ""};
  while (text.write_some(done.second)) ++done.first;
  return done;
}

TEST_F(InTurns, AProxyWithManyFaultsIsWrittenInStepsAsItWas) {
  ASSERT_EQ(ask("POST", "/api/v1/proxies", with_faults("db", 256))->status(), 201);
  const ProxyEntry& entry = *registry_.find("db");
  const Json ours = control::proxy_json(entry, *engine_);
  const Json theirs = toxiproxy_proxy(entry);
  const auto hidden = hidden_faults(entry);
  ASSERT_EQ(hidden, 86u);
  const ProxyText our_text(entry, *engine_);
  ToxiproxyText their_text(entry);
  // Whatever becomes of it meanwhile.
  ASSERT_EQ(ask("DELETE", "/api/v1/proxies/db/faults/f0")->status(), 204);
  ASSERT_EQ(ask("DELETE", "/api/v1/proxies/db")->status(), 204);
  const auto [steps, text] = steps_of(our_text);
  EXPECT_GE(steps, 16);
  EXPECT_EQ(text, ours.dump());
  EXPECT_EQ(steps_of(their_text), std::pair(32, theirs.dump()));
  std::string whole;
  while (their_text.write_some(whole)) {
  }
  EXPECT_EQ(their_text.hidden(), hidden);
}

TEST_F(InTurns, AnswersOfAProxyAreWholeWithAnyNumberOfFaults) {
  for (const int faults : {0, 1, 15, 16, 17, 256}) {
    const std::string name = fmt::format("with{}", faults);
    ASSERT_EQ(ask("POST", "/api/v1/proxies", with_faults(name, faults))->status(), 201);
    const ProxyEntry& entry = *registry_.find(name);
    const Json ours = control::proxy_json(entry, *engine_);
    const auto one = ask("GET", "/api/v1/proxies/" + name);
    EXPECT_EQ(one->json(), ours);
    EXPECT_EQ(one->header("ETag"), fmt::format("\"{}\"", entry.revision));
    EXPECT_EQ(ask("GET", "/api/v1/proxies/" + name + "/faults")->json(),
              (Json{{"faults", ours["faults"]}, {"revision", entry.revision}}));
    const auto classic = ask("GET", "/proxies/" + name);
    EXPECT_EQ(classic->json(), toxiproxy_proxy(entry));
    EXPECT_EQ(ask("GET", "/proxies/" + name + "/toxics")->json(), toxiproxy_toxics(entry));
    const auto hidden = hidden_faults(entry);
    EXPECT_EQ(classic->header("X-Weir-Hidden-Faults"), hidden == 0 ? "" : std::to_string(hidden));
    EXPECT_EQ(ask("GET", "/proxies")->json()[name], toxiproxy_proxy(entry));
  }
  EXPECT_EQ(ask("GET", "/api/v1/proxies")->json()["proxies"].size(), 6u);
}

TEST_F(InTurns, AProxyWithFewFaultsDoesNotWaitForAListOfMany) {
  ASSERT_EQ(ask("POST", "/populate", many(1000))->status(), 201);
  const auto list = begin("GET", "/api/v1/proxies");
  const auto one = begin("GET", "/api/v1/proxies/p00007");
  ASSERT_TRUE(comes(*one));
  EXPECT_EQ(one->json()["name"], "p00007");
  EXPECT_FALSE(list->has_response());
  ASSERT_TRUE(comes(*list));
}

TEST_F(InTurns, AsManyWaitAndNoMore) {
  std::vector<std::unique_ptr<test::Client>> clients;
  clients.push_back(begin("POST", "/populate", many(400)));
  while (clients.size() < control::Turns::most_asked_for) clients.push_back(begin("POST", "/reset"));
  const auto refused = begin("POST", "/populate", many(1));
  ASSERT_TRUE(refused->has_response());
  EXPECT_EQ(refused->status(), 503);
  for (const auto& each : clients) ASSERT_TRUE(comes(*each));
  EXPECT_EQ(ask("POST", "/reset")->status(), 204) << "there is room again";
}

TEST_F(InTurns, APopulationStopsAtTheFirstThatCannotBeMade) {
  make_proxy("there");
  Json all = Json::parse(many(3));
  all[1]["listen"] = proxy("there")->listen;
  const auto populate = ask("POST", "/populate", all.dump());
  EXPECT_EQ(populate->status(), 500);
  EXPECT_NE(populate->json()["error"].get<std::string>().find("address already in use"), std::string::npos);
  ASSERT_EQ(populate->json()["proxies"].size(), 1u);
  EXPECT_EQ(proxy("p00002"), nullptr);
}

TEST_F(InTurns, APopulationIsReadAsAWholeBeforeAnythingIsMade) {
  Json all = Json::parse(many(3));
  all[2].erase("upstream");
  const auto populate = ask("POST", "/populate", all.dump());
  EXPECT_EQ(populate->status(), 400);
  EXPECT_EQ(populate->json()["error"], "missing required field: upstream at proxy 3");
  EXPECT_TRUE(registry_.all().empty());
  EXPECT_EQ(ask("POST", "/populate", "null")->json(), Json::parse(R"({"proxies": null})"));
  EXPECT_EQ(ask("POST", "/populate", "{}")->status(), 400);
}

TEST_F(InTurns, APopulationLeavesAloneWhatIsThereAndMakesAnewWhatIsElsewhere) {
  ASSERT_EQ(ask("POST", "/populate", many(2))->status(), 201);
  const auto stays = proxy("p00000")->id;
  const auto goes = proxy("p00001")->id;
  Json all = Json::parse(many(2));
  for (std::size_t i = 0; i < 2; ++i) all[i]["listen"] = proxy(fmt::format("p{:05}", i))->listen;
  all[1]["upstream"] = "y:1";  // its address has to be free for that
  EXPECT_EQ(ask("POST", "/populate", all.dump())->status(), 201);
  EXPECT_EQ(proxy("p00000")->id, stays);
  EXPECT_NE(proxy("p00001")->id, goes);
}

TEST_F(InTurns, ALeaseIsAnsweredForWhenWhatCarriesItIsGone) {
  auto lease = leases_.open();
  for (int i = 0; i < 100; ++i) make_proxy(fmt::format("p{}", i), {{"weir-lease", lease.id}});
  const auto ended = begin("DELETE", "/api/v1/leases/" + lease.id);
  EXPECT_FALSE(leases_.is_held(lease.id)) << "nothing is made under it from now on";
  EXPECT_EQ(ask("POST", "/api/v1/proxies", R"({"name": "x", "upstream": "x:1"})", {{"weir-lease", lease.id}})->status(),
            409);
  ASSERT_TRUE(comes(*ended));
  EXPECT_EQ(ended->status(), 204);
  EXPECT_TRUE(registry_.all().empty());
  EXPECT_TRUE(engine_->is_settled());
  EXPECT_EQ(ask("DELETE", "/api/v1/leases/" + lease.id)->status(), 404);
}

TEST(ListText, IsAnObjectWithItsListAndWhatFollows) {
  ListText none("a");
  const auto text = [](http::BodyPieces pieces) { return http::Response{.shared_body = std::move(pieces)}.text(); };
  EXPECT_EQ(text(none.finish()), "{\"a\":[]}\n");
  ListText two("a");
  two.add({{"x", 1}});
  two.add("y");
  EXPECT_EQ(text(two.finish({{"left_out", 0}, {"partial", false}})),
            "{\"a\":[{\"x\":1},\"y\"],\"left_out\":0,\"partial\":false}\n");
}

}  // namespace
}  // namespace weir::api
