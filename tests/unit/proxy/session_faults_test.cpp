// A session under faults, on virtual time with real sockets: its first phases, its bytes, changes on the way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/session_scene.h"

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;
using live::Felt;
using live::Peer;
using live::TimeoutName;
using testing::ElementsAre;

using Faulty = live::SessionScene;

TEST_F(Faulty, LatencyHoldsBytesForItsTime) {
  set_faults({"latency latency=100ms"});
  Peer client = this->client();
  Peer server = this->server();
  client.send("question");
  EXPECT_TRUE(hears(server, "question")) << "the other direction is free";
  server.send("answer");
  turn_until([&] { return only_session().relay().totals()[1].bytes == 6; });
  pass(100ms - 1ns);
  client.look();
  EXPECT_EQ(client.received(), "");
  pass(1ns);
  EXPECT_TRUE(hears(client, "answer"));
  EXPECT_THAT(only_session().fault_names(), ElementsAre("latency_downstream"));
}

TEST_F(Faulty, AddedToAnOpenSessionItActsOnTheNextByte) {
  Peer client = this->client();
  Peer server = this->server();
  server.send("free ");
  EXPECT_TRUE(hears(client, "free "));
  set_faults({"latency latency=1s"});
  server.send("late");
  settle();
  client.look();
  EXPECT_EQ(client.received(), "free ");
  pass(1s);
  EXPECT_TRUE(hears(client, "free late"));
}

TEST_F(Faulty, RemovedFromAnOpenSessionItLetsEverythingGo) {
  set_faults({"latency latency=1h direction=both"});
  Peer client = this->client();
  Peer server = this->server();
  server.send("held ");
  turn_until([&] { return only_session().relay().totals()[1].bytes == 5; });
  set_faults({});
  server.send("and free");
  EXPECT_TRUE(hears(client, "held and free"));
}

TEST_F(Faulty, RemovedWhileAFinIsHeldItPassesTheFin) {
  set_faults({"slow_close delay=1h direction=upstream"});
  Peer client = this->client();
  Peer server = this->server();
  client.end();
  settle();
  server.look();
  EXPECT_EQ(server.felt(), Felt::nothing);
  set_faults({});
  EXPECT_TRUE(feels(server, Felt::fin));
}

TEST_F(Faulty, ResetPeerResetsBothEndsOfASessionThatWasOpenAlready) {
  Peer client = this->client();
  Peer server = this->server();
  settle();
  set_faults({"reset_peer direction=upstream"});
  client.send("x");
  EXPECT_TRUE(feels(client, Felt::reset));
  EXPECT_TRUE(feels(server, Felt::reset));
  EXPECT_EQ(ends(), "closed by fault after 0s");
  EXPECT_EQ(detail(), "reset_peer_upstream");
}

TEST_F(Faulty, AnEndThatAFaultAsksForLetsTheOtherDirectionsBytesGo) {
  set_faults({"limit_data bytes=2", "latency latency=1h direction=upstream"});
  Peer client = this->client();
  Peer server = this->server();
  client.send("question");
  turn_until([&] { return only_session().relay().totals()[0].bytes == 8; });
  server.send("answer");
  EXPECT_TRUE(hears(client, "an"));
  EXPECT_TRUE(hears(server, "question"));
  EXPECT_TRUE(feels(client, Felt::fin));
  EXPECT_TRUE(feels(server, Felt::fin));
  EXPECT_EQ(ends(), "closed by fault after 0s");
}

TEST_F(Faulty, AnEndThatAFaultAsksForEndsAStalledDirectionToo) {
  set_faults({"timeout timeout=5s", "stall direction=upstream"});
  Peer client = this->client();
  Peer server = this->server();
  client.end();
  settle();
  pass(5s);
  EXPECT_EQ(ends(), "closed by fault after 5.00s");
  EXPECT_EQ(detail(), "timeout_downstream");
}

TEST_F(Faulty, RemovingATimeoutEndsItsSessions) {
  set_faults({"timeout"});
  Peer client = this->client();
  Peer server = this->server();
  server.send("dropped");
  settle();
  set_faults({});
  EXPECT_TRUE(feels(client, Felt::fin));
  EXPECT_TRUE(feels(server, Felt::fin));
  EXPECT_EQ(client.received(), "");
}

TEST_F(Faulty, HeldBytesStopTheIdleClock) {
  set(TimeoutName::idle, 10s);
  set_faults({"latency latency=60s"});
  Peer client = this->client();
  Peer server = this->server();
  server.send("late");
  turn_until([&] { return only_session().relay().totals()[1].bytes == 4; });
  pass_in_steps(59s, 1s);
  EXPECT_EQ(ending(), "open");
  pass(1s);
  EXPECT_TRUE(hears(client, "late"));
}

TEST_F(Faulty, AResetIsPassedOnBehindWhatAFaultHoldsWithinItsGrace) {
  set_faults({"latency latency=500ms"});
  Peer client = this->client();
  Peer server = this->server();
  server.send("last words");
  turn_until([&] { return only_session().relay().totals()[1].bytes == 10; });
  server.reset();
  settle();
  pass_in_steps(490ms);
  EXPECT_EQ(ending(), "open");
  pass_in_steps(500ms);
  EXPECT_TRUE(hears(client, "last words"));
  EXPECT_TRUE(feels(client, Felt::reset));
}

TEST_F(Faulty, RefuseResetsAtOnceAndAsksNobody) {
  settings_->rules.on_connect_failure = OnConnectFailure::close;
  set_faults({"refuse"});
  Peer client = this->client();
  EXPECT_TRUE(feels(client, Felt::reset)) << "whatever on_connect_failure says";
  EXPECT_TRUE(nobody_came_to_the_upstream());
  EXPECT_EQ(ends(), "closed by fault after 0s");
  EXPECT_EQ(detail(), "refuse");
}

TEST_F(Faulty, AcceptDelayAndConnectDelayComeOneAfterTheOther) {
  set_faults({"accept_delay delay=2s", "connect_delay delay=3s"});
  Peer client = this->client();
  client.send("hello");
  EXPECT_EQ(phase(), SessionPhase::accepted);
  pass(2s - 1ns);
  EXPECT_EQ(phase(), SessionPhase::accepted);
  pass(1ns);
  EXPECT_EQ(phase(), SessionPhase::connecting);
  pass(3s - 1ns);
  EXPECT_TRUE(nobody_came_to_the_upstream());
  pass(1ns);
  Peer server = this->server();
  EXPECT_TRUE(hears(server, "hello"));
}

TEST_F(Faulty, ADelayOfAFirstPhaseEndsWhenItsFaultIsRemoved) {
  set_faults({"accept_delay delay=1h"});
  Peer client = this->client();
  pass(1s);
  set_faults({});
  Peer server = this->server();
  EXPECT_TRUE(server.is_open());
}

TEST_F(Faulty, ConnectDelayCountsForTheClockConnect) {
  set(TimeoutName::connect, 1s);
  set_faults({"connect_delay delay=5s"});
  Peer client = this->client();
  pass(1s + net::TimerWheel::tick_length);
  EXPECT_EQ(ending(), "closed by connect after 1.00s");
  EXPECT_EQ(detail(), "while a fault delayed it");
  EXPECT_TRUE(feels(client, Felt::reset));
}

TEST_F(Faulty, AClientThatGoesWhileItsAcceptIsDelayedIsLetGo) {
  set_faults({"accept_delay delay=1h"});
  Peer client = this->client();
  settle();
  client.reset();
  EXPECT_THAT(ends(), testing::StartsWith("closed by client.reset"));
}

TEST_F(Faulty, ReadsNoMoreThanTheQueueLimitAndCountsIt) {
  settings_->rules.fault_queue_limit = 64 * 1024;
  set_faults({"latency latency=1h"});
  Peer client = this->client();
  Peer server = this->server();
  const std::string block(16 * 1024, 'x');
  for (int i = 0; i < 40; ++i) {
    (void)::send(server.fd(), block.data(), block.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    settle();
  }
  EXPECT_GE(fault_budget_.held(), 64u * 1024);
  EXPECT_LT(fault_budget_.held(), (64u + 128) * 1024);
  EXPECT_EQ(fault_budget_.direction_full(), 1u);
  client.reset();
  turn_until([&] { return phases().empty(); });
  EXPECT_EQ(fault_budget_.held(), 0u) << "what a session held is given back with it";
}

TEST_F(Faulty, AnOlderListThatComesLateChangesNothing) {
  set_faults({"noop"});
  const auto now = proxy().faults;
  worker_->set_faults(proxy(), std::make_shared<const fault::FaultList>());
  EXPECT_EQ(proxy().faults, now);
}

}  // namespace
}  // namespace weir::proxy
