// Proxies that come, change and go while the engine runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/engine_scene.h"

namespace weir::engine {
namespace {

using namespace std::chrono_literals;
using test::Peer;
using test::wait_until;

class RunningProxies : public test::EngineScene {
 protected:
  void SetUp() override {
    make({.workers = 3});
    observe();
    engine_->start();
  }
  auto open(ProxyId id) -> std::string {
    auto where = engine_->open_proxy(id);
    EXPECT_TRUE(where) << where.error().message;
    return where ? where->text : "";
  }
};

TEST_F(RunningProxies, AreMadeClosedAndRelayWhenOpened) {
  const ProxyId id = engine_->create_proxy(spec());
  expect_it_relays(open(id));
}

TEST_F(RunningProxies, ClosingEndsTheListenerAndEverySessionBeforeItReturns) {
  const ProxyId id = engine_->create_proxy(spec());
  const std::string where = open(id);
  std::vector<Peer> clients;
  std::vector<Peer> servers;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(Peer::connected_to(where));
    servers.push_back(server());
  }
  EXPECT_TRUE(engine_->close_proxy(id, "it was disabled"));
  EXPECT_EQ(engine_->live_sessions(), 0u);
  EXPECT_FALSE(Peer::connected_to(where).is_open());
  for (const Peer& client : clients) EXPECT_EQ(client.read(), "FIN");
  for (const Peer& server : servers) EXPECT_EQ(server.read(), "FIN");
  EXPECT_TRUE(wait_until([&] { return journal_->number_of_closes() == 20; }));
  EXPECT_EQ(journal_->closes.back(), "shutdown (it was disabled)");
}

TEST_F(RunningProxies, ReopenedTheyGoOnCounting) {
  const ProxyId id = engine_->create_proxy(spec());
  expect_it_relays(open(id));
  (void)engine_->close_proxy(id, "");
  expect_it_relays(open(id));
  const auto list = engine_->sessions(id, 10, 1000ms);
  for (const auto& session : list.sessions) EXPECT_EQ(session.number, SessionNumber{2});
  EXPECT_EQ(engine_->traffic(1000ms).at(id).counters.sessions, 2u);
}

TEST_F(RunningProxies, ChangedWhileClosedTheyConnectElsewhere) {
  ProxySpec elsewhere = spec();
  elsewhere.rules.upstream = UpstreamAddress::parse("127.0.0.1:1").value();
  const ProxyId id = engine_->create_proxy(std::move(elsewhere));
  (void)open(id);
  (void)engine_->close_proxy(id, "");
  EXPECT_TRUE(engine_->set_rules(id, spec().rules));
  expect_it_relays(open(id));
}

TEST_F(RunningProxies, OtherRulesEndNoSessionAndHoldForThoseThatCome) {
  const ProxyId id = engine_->create_proxy(spec());
  const std::string where = open(id);
  const Peer early = Peer::connected_to(where);
  const Peer early_server = server();
  auto rules = spec().rules;
  rules.upstream = UpstreamAddress::parse("127.0.0.1:1").value();
  EXPECT_TRUE(engine_->set_rules(id, rules));
  EXPECT_EQ(Peer::connected_to(where).read(), "RST") << "nobody listens there";
  early.send("still");
  EXPECT_EQ(early_server.read(), "still");
  EXPECT_TRUE(engine_->set_rules(id, spec().rules));
  expect_it_relays(where);
}

TEST_F(RunningProxies, AnOpenSessionTakesAnotherIdleTimeoutAtOnce) {
  const ProxyId id = engine_->create_proxy(spec());
  const std::string where = open(id);
  std::vector<Peer> clients;
  std::vector<Peer> servers;
  for (int i = 0; i < 9; ++i) {  // on every worker
    clients.push_back(Peer::connected_to(where));
    servers.push_back(server());
  }
  auto rules = spec().rules;
  rules.timeouts.set(event::TimeoutName::idle, 50ms);
  rules.on_connect_failure = proxy::OnConnectFailure::close;
  EXPECT_TRUE(engine_->set_rules(id, rules));
  for (const Peer& client : clients) EXPECT_EQ(client.read(), "FIN");
  EXPECT_TRUE(wait_until([&] { return journal_->number_of_closes() == 9; }));
  for (const auto& close : journal_->closes) EXPECT_EQ(close, "idle");
}

TEST_F(RunningProxies, MorePlacesLetThoseInWhoWait) {
  ProxySpec narrow = spec();
  narrow.rules.max_sessions = 1;
  const ProxyId id = engine_->create_proxy(narrow);
  const std::string where = open(id);
  const Peer first = Peer::connected_to(where);
  const Peer first_server = server();
  const Peer second = Peer::connected_to(where);  // into the kernel's queue
  EXPECT_EQ(engine_->live_sessions(), 1u);
  narrow.rules.max_sessions = 2;
  EXPECT_TRUE(engine_->set_rules(id, narrow.rules));
  const Peer second_server = server();
  second.send("here");
  EXPECT_EQ(second_server.read(), "here");
}

TEST_F(RunningProxies, ARemovedOneLeavesTheOthersAlone) {
  const ProxyId one = engine_->create_proxy(spec());
  const ProxyId two = engine_->create_proxy(spec());
  const std::string gone = open(one);
  const std::string stays = open(two);
  const Peer client = Peer::connected_to(gone);
  (void)server();
  engine_->remove_proxy(one);
  EXPECT_FALSE(Peer::connected_to(gone).is_open());
  EXPECT_EQ(client.read(), "FIN");
  expect_it_relays(stays);
}

TEST_F(RunningProxies, SessionsAreListedAndClosedOneByOne) {
  const ProxyId id = engine_->create_proxy(spec());
  const std::string where = open(id);
  const Peer one = Peer::connected_to(where);
  const Peer one_server = server();
  const Peer two = Peer::connected_to(where);
  const Peer two_server = server();
  two.send("12345");
  EXPECT_EQ(two_server.read(), "12345");
  const auto list = engine_->sessions(std::nullopt, 10, 1000ms);
  ASSERT_EQ(list.sessions.size(), 2u);
  EXPECT_EQ(list.sessions[1].totals[0].bytes, 5u);
  EXPECT_EQ(list.sessions[1].upstream, upstream_address_);
  EXPECT_EQ(engine_->sessions(std::nullopt, 1, 1000ms).left_out, 1u);
  EXPECT_TRUE(engine_->close_session(id, SessionNumber{1}, "asked"));
  EXPECT_FALSE(engine_->close_session(id, SessionNumber{7}, "asked"));
  EXPECT_EQ(one.read(), "FIN");
  two.send("still");
  EXPECT_EQ(two_server.read(), "still");
}

TEST_F(RunningProxies, CloseUnderAStormLosesNobody) {
  const ProxyId id = engine_->create_proxy(spec());
  for (int round = 0; round < 20; ++round) {
    const std::string where = open(id);
    std::vector<Peer> clients;
    for (int i = 0; i < 30; ++i) clients.push_back(Peer::connected_to(where));
    EXPECT_TRUE(engine_->close_proxy(id, ""));
    EXPECT_EQ(engine_->live_sessions(), 0u);
    // Those that were still in the kernel's queue are reset with it.
    for (const Peer& client : clients) EXPECT_NE(client.read(), "nothing");
  }
}

}  // namespace
}  // namespace weir::engine
