// Proxies that come, change and go while the engine runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/engine_scene.h"
#include "engine/holding_clock.h"

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
  engine_->close_proxy(id, "it was disabled");
  EXPECT_FALSE(Peer::connected_to(where).is_open()) << "before any loop has taken it";
  ASSERT_TRUE(settle());
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
  engine_->close_proxy(id, "");
  expect_it_relays(open(id));
  const auto list = sessions(id);
  for (const auto& session : list.sessions) EXPECT_EQ(session.number, SessionNumber{2});
  EXPECT_EQ(traffic().proxies.at(id).counters.sessions, 2u);
}

TEST_F(RunningProxies, ChangedWhileClosedTheyConnectElsewhere) {
  ProxySpec elsewhere = spec();
  elsewhere.rules.upstream = UpstreamAddress::parse("127.0.0.1:1").value();
  const ProxyId id = engine_->create_proxy(std::move(elsewhere));
  (void)open(id);
  engine_->close_proxy(id, "");
  engine_->set_rules(id, spec().rules);
  ASSERT_TRUE(settle());
  expect_it_relays(open(id));
}

TEST_F(RunningProxies, OtherRulesEndNoSessionAndHoldForThoseThatCome) {
  const ProxyId id = engine_->create_proxy(spec());
  const std::string where = open(id);
  const Peer early = Peer::connected_to(where);
  const Peer early_server = server();
  auto rules = spec().rules;
  rules.upstream = UpstreamAddress::parse("127.0.0.1:1").value();
  engine_->set_rules(id, rules);
  ASSERT_TRUE(settle());
  EXPECT_EQ(Peer::connected_to(where).read(), "RST") << "nobody listens there";
  early.send("still");
  EXPECT_EQ(early_server.read(), "still");
  engine_->set_rules(id, spec().rules);
  ASSERT_TRUE(settle());
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
  engine_->set_rules(id, rules);
  ASSERT_TRUE(settle());
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
  engine_->set_rules(id, narrow.rules);
  ASSERT_TRUE(settle());
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
  const auto list = sessions(std::nullopt);
  ASSERT_EQ(list.sessions.size(), 2u);
  EXPECT_EQ(list.sessions[1].totals[0].bytes, 5u);
  EXPECT_EQ(list.sessions[1].upstream, upstream_address_);
  EXPECT_EQ(sessions(std::nullopt, 1).left_out, 1u);
  EXPECT_EQ(close_session(id, SessionNumber{1}), Engine::SessionEnd::closing);
  EXPECT_EQ(close_session(id, SessionNumber{7}), Engine::SessionEnd::unknown);
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
    engine_->close_proxy(id, "");
    ASSERT_TRUE(settle());
    EXPECT_EQ(engine_->live_sessions(), 0u);
    // Those that were still in the kernel's queue are reset with it.
    for (const Peer& client : clients) EXPECT_NE(client.read(), "nothing");
  }
}

// Whatever the kernel frees late (an abstract name, a port that was asked for by number) is free at once.
TEST_F(RunningProxies, AnAddressIsFreeAsSoonAsItsProxyIsClosed) {
  for (const std::string& listen : {std::string("127.0.0.1:0"), "unix:" + folder_.path("listen"),
                                    fmt::format("unix:@weir-free-at-once-{}", ::getpid())}) {
    ProxyId id = engine_->create_proxy(spec(listen));
    const std::string where = open(id);
    engine_->set_rules(id, spec(where).rules);  // the port as a number
    for (int round = 0; round < 50; ++round) {
      const Peer client = Peer::connected_to(where);
      ASSERT_TRUE(client.is_open()) << where << " round " << round;
      if (round % 2 == 0) {
        engine_->close_proxy(id, "");
      } else {
        engine_->remove_proxy(id);
        id = engine_->create_proxy(spec(where));
      }
      ASSERT_EQ(open(id), where) << "round " << round;
    }
    EXPECT_TRUE(Peer::connected_to(where).is_open());
  }
  EXPECT_TRUE(settle());
  for (const auto& [id, proxy] : traffic().proxies) EXPECT_EQ(proxy.refused_accepts, 0u) << "no pause of accepting";
}

TEST_F(RunningProxies, AnAddressIsFreeThoughTheLoopIsBusy) {
  test::HoldingClock clock;
  make({.workers = 1, .clock = &clock});
  engine_->start();
  const std::vector<std::string> addresses{"127.0.0.1:0", "unix:" + folder_.path("busy"),
                                           fmt::format("unix:@weir-free-though-busy-{}", ::getpid())};
  for (const std::string& listen : addresses) {
    const ProxyId id = engine_->create_proxy(spec(listen));
    const std::string where = open(id);
    engine_->set_rules(id, spec(where).rules);  // the port as a number
    ASSERT_TRUE(settle());
    const int held_before = clock.held();
    clock.hold(true);
    ASSERT_TRUE(wait_until([&] {
      engine_->loop_lag({*home_, 0ms}, [](Nanos) {});  // wakes it
      return clock.held() > held_before;
    }));
    engine_->close_proxy(id, "");
    EXPECT_EQ(open(id), where) << "it waits for no loop";
    clock.hold(false);
    ASSERT_TRUE(settle());
  }
  engine_.reset();  // before its clock
}

TEST_F(RunningProxies, AClientThatNoLoopHasAcceptedYetFeelsAnOrderlyEndToo) {
  test::HoldingClock clock;
  make({.workers = 1, .clock = &clock});
  engine_->start();
  const ProxyId id = engine_->create_proxy(spec());
  const std::string where = open(id);
  ASSERT_TRUE(settle());
  clock.hold(true);
  ASSERT_TRUE(wait_until([&] {
    engine_->loop_lag({*home_, 0ms}, [](Nanos) {});  // wakes it
    return clock.held() > 0;
  }));
  const Peer client = Peer::connected_to(where);
  ASSERT_TRUE(client.is_open());
  engine_->close_proxy(id, "");
  EXPECT_EQ(client.read(), "FIN");
  clock.hold(false);
  EXPECT_TRUE(settle());
  engine_.reset();  // before its clock
}

TEST_F(RunningProxies, AnAnswerBeforeTheStartAndAfterTheStopComesAtOnce) {
  const auto at_once = [this] {
    int answered = 0;
    const Asker asker{*home_, 0ms};
    engine_->totals(asker, [&](const Totals& totals) { answered += totals.partial ? 0 : 1; });
    engine_->sessions(asker, std::nullopt, 10, [&](const SessionList& list) { answered += list.partial ? 0 : 1; });
    engine_->traffic(asker, [&](const Traffic& traffic) { answered += traffic.partial ? 0 : 1; });
    engine_->loop_lag(asker, [&](Nanos) { ++answered; });
    engine_->settle(asker, [&](bool all) { answered += all ? 1 : 0; });
    return answered;
  };
  EXPECT_TRUE(engine_->stop(5s));
  EXPECT_EQ(at_once(), 5);
  make({.workers = 2});
  add(spec());
  EXPECT_EQ(at_once(), 5);
}

TEST_F(RunningProxies, ARemovedOneIsWaitedForUntilItsSessionsHaveEnded) {
  const ProxyId id = engine_->create_proxy(spec());
  const Peer client = Peer::connected_to(open(id));
  const Peer server = this->server();
  engine_->remove_proxy(id);
  (void)engine_->take_news();  // it may be too early, and no news at all
  EXPECT_EQ(client.read(), "FIN");
  EXPECT_TRUE(settle());
  EXPECT_TRUE(engine_->take_news().all_sessions_ended);
}

}  // namespace
}  // namespace weir::engine
