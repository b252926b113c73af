// The phases of a session before it connects: accepted, handshake, resolving; and how it ends in them.
#include "proxy/session.h"

#include <gtest/gtest.h>

#include "proxy/session_scene.h"

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;
using live::Felt;
using live::Peer;
using live::TimeoutName;

constexpr Nanos tick = net::TimerWheel::tick_length;

class Resolving : public live::SessionScene {
 protected:
  Resolving() { set_upstream_name(); }
};

TEST_F(Resolving, ANameIsLookedUpWhenAClientConnectsAndItsAddressReached) {
  EXPECT_TRUE(resolver_.asked.empty());
  Peer client = this->client();
  ASSERT_EQ(resolver_.asked.size(), 1u);
  EXPECT_EQ(resolver_.asked[0].name, (UpstreamAddress::Name{"db.example", 5432}));
  EXPECT_EQ(phase(), SessionPhase::resolving);
  pass(250ms);
  resolver_.answer(net::Addresses{upstream_address_});
  Peer server = this->server();
  server.send("welcome");
  EXPECT_TRUE(hears(client, "welcome"));
  ASSERT_EQ(opened_.size(), 1u);
  EXPECT_EQ(opened_[0].upstream, upstream_address_);
  EXPECT_EQ(opened_[0].client, net::local_address(client.fd()).value());
  EXPECT_EQ(opened_[0].connect_time, 250ms) << "the lookup is part of it";
}

TEST_F(Resolving, TheTimeoutFires) {
  set(TimeoutName::resolve, 2s);
  Peer client = this->client();
  pass(2s - 1ns);
  EXPECT_EQ(phase(), SessionPhase::resolving);
  EXPECT_EQ(ending(), "open");
  pass(tick);
  EXPECT_EQ(ending(), "closed by resolve after 2.00s");
  EXPECT_TRUE(feels(client, Felt::reset));
  EXPECT_TRUE(opened_.empty());
  EXPECT_EQ(closed_[0].upstream, std::nullopt);
}

TEST_F(Resolving, AnAnswerJustBeforeTheTimeoutIsInTime) {
  set(TimeoutName::resolve, 2s);
  Peer client = this->client();
  pass(2s - 1ns);
  resolver_.answer(net::Addresses{upstream_address_});
  Peer server = this->server();
  pass(1h - 3s);
  EXPECT_EQ(phase(), SessionPhase::relaying);
}

TEST_F(Resolving, WithTheTimeoutOffItWaits) {
  set(TimeoutName::resolve, std::nullopt);
  Peer client = this->client();
  pass(48h);
  EXPECT_EQ(phase(), SessionPhase::resolving);
}

TEST_F(Resolving, ANameWithoutAnAddressEndsIt) {
  Peer client = this->client();
  pass(1500ms);
  resolver_.answer(failure("cannot resolve \"db.example\": Name or service not known"));
  EXPECT_EQ(ends(), "closed by resolve.failed after 1.50s");
  EXPECT_EQ(detail(), "cannot resolve \"db.example\": Name or service not known");
  EXPECT_TRUE(feels(client, Felt::reset));
  EXPECT_EQ(worker_->counters().connect_failures, 1u);
}

TEST_F(Resolving, AnAnswerThatComesAfterTheEndIsNobodys) {
  set(TimeoutName::resolve, 1s);
  Peer first = this->client();
  pass(1s + tick);
  ASSERT_EQ(ending(), "closed by resolve after 1.00s");
  Peer second = this->client();
  resolver_.answer(net::Addresses{upstream_address_}, 0);
  settle();
  EXPECT_EQ(phase(), SessionPhase::resolving) << "the second waits for its own answer";
  EXPECT_TRUE(nobody_came_to_the_upstream());
  resolver_.answer(net::Addresses{upstream_address_}, 1);
  EXPECT_TRUE(this->server().is_open());
}

TEST_F(Resolving, AnAnswerAfterAllSessionsWereEndedIsNobodysToo) {
  Peer client = this->client();
  pass(3s);
  worker_->end_all({.reason = event::CloseReason::shutdown}, "second signal");
  EXPECT_EQ(ends(), "closed by shutdown after 3.00s");
  EXPECT_EQ(detail(), "second signal");
  resolver_.answer(net::Addresses{upstream_address_});
  settle();
  EXPECT_TRUE(nobody_came_to_the_upstream());
  EXPECT_TRUE(feels(client, Felt::reset));
}

TEST_F(Resolving, AClientThatResetsMeanwhileEndsIt) {
  Peer client = this->client();
  pass(1s);
  client.reset();
  EXPECT_EQ(ends(), "closed by client.reset after 1.00s");
  EXPECT_EQ(detail(), "before the upstream was reached");
  EXPECT_EQ(worker_->counters().connect_failures, 0u) << "that is not the upstream's fault";
}

TEST_F(Resolving, AClientThatHasSentAndEndedMeanwhileIsServedAllTheSame) {
  Peer client = this->client();
  client.send("question");
  client.end();
  settle();
  EXPECT_EQ(phase(), SessionPhase::resolving);
  resolver_.answer(net::Addresses{upstream_address_});
  Peer server = this->server();
  EXPECT_TRUE(hears(server, "question"));
  EXPECT_TRUE(feels(server, Felt::fin));
  server.send("answer");
  server.end();
  EXPECT_TRUE(hears(client, "answer"));
  EXPECT_TRUE(feels(client, Felt::fin));
  EXPECT_EQ(ends(), "closed by client.fin after 0s");
}

TEST_F(Resolving, AnAddressNeedsNoLookup) {
  set_upstream(upstream_address_);
  Peer client = this->client();
  EXPECT_TRUE(this->server().is_open());
  EXPECT_TRUE(resolver_.asked.empty());
}

class Handshaking : public live::SessionScene {
 protected:
  Handshaking() { set_handshake(); }
  void set_handshake(bool silent = true) {
    line_.make = [silent] { return std::make_unique<live::LineHandshake>(silent); };
    settings_->rules.handshake = &line_;
  }

 private:
  HandshakeInfo line_{"line", "a line", {}};
};

TEST_F(Handshaking, TheUpstreamIsNotAskedBeforeItIsComplete) {
  Peer client = this->client();
  client.send("hel");
  settle();
  EXPECT_EQ(phase(), SessionPhase::handshake);
  EXPECT_TRUE(sockets().asked.empty());
  client.send("lo\n");
  EXPECT_TRUE(this->server().is_open());
}

TEST_F(Handshaking, WhatCameWithItBelongsToTheStream) {
  Peer client = this->client();
  client.send("hello\nfirst ");
  Peer server = this->server();
  EXPECT_TRUE(hears(server, "first "));
  client.send("second");
  EXPECT_TRUE(hears(server, "first second"));
  EXPECT_EQ(relayed_[0], "first second") << "and the views are shown it too";
  client.end();
  server.end();
  EXPECT_EQ(ends(), "closed by client.fin after 0s");
  EXPECT_EQ(closed_[0].totals[0].bytes, 12u);
  EXPECT_EQ(closed_[0].totals[0].undelivered, 0u);
}

TEST_F(Handshaking, ByteByByteAndWithNothingAfterIt) {
  Peer client = this->client();
  for (const char byte : std::string_view("hello\n")) {
    client.send({&byte, 1});
    settle();
  }
  Peer server = this->server();
  server.send("welcome");
  EXPECT_TRUE(hears(client, "welcome"));
  EXPECT_EQ(relayed_[0], "");
}

TEST_F(Handshaking, EvenTheClientsEndMayComeWithIt) {
  Peer client = this->client();
  client.send("hello\nquestion");
  client.end();
  Peer server = this->server();
  EXPECT_TRUE(hears(server, "question"));
  EXPECT_TRUE(feels(server, Felt::fin));
}

TEST_F(Handshaking, ItMayNameTheUpstream) {
  set_upstream(live::loopback(1));  // nobody
  Peer client = this->client();
  client.send("to " + upstream_address_.to_string() + "\n");
  EXPECT_TRUE(this->server().is_open());
}

TEST_F(Handshaking, OrANameToLookUp) {
  Peer client = this->client();
  client.send("to db.example:1\n");
  ASSERT_TRUE(turn_until([&] { return !resolver_.asked.empty(); }));
  EXPECT_EQ(phase(), SessionPhase::resolving);
}

TEST_F(Handshaking, AMalformedOneEndsIt) {
  Peer client = this->client();
  pass(2s);
  client.send("!");
  EXPECT_EQ(ends(), "closed by client.error after 2.00s");
  EXPECT_EQ(detail(), "its line is malformed");
  EXPECT_TRUE(feels(client, Felt::reset));
}

TEST_F(Handshaking, OneThatDoesNotEndIsBounded) {
  Peer client = this->client();
  client.send(std::string(Handshake::limit - 1, 'x'));
  settle();
  EXPECT_EQ(phase(), SessionPhase::handshake);
  client.send("x");
  EXPECT_EQ(ends(), "closed by client.error after 0s");
}

TEST_F(Handshaking, OneAsLongAsTheLimitIsStillGood) {
  Peer client = this->client();
  client.send(std::string(Handshake::limit - 1, 'x') + "\n" + "rest");
  Peer server = this->server();
  EXPECT_TRUE(hears(server, "rest"));
}

TEST_F(Handshaking, AClientThatEndsBeforeItIsCompleteIsNotServed) {
  Peer client = this->client();
  client.send("hel");
  client.end();
  EXPECT_EQ(ends(), "closed by client.fin after 0s");
  EXPECT_EQ(detail(), "before its handshake was complete");
  EXPECT_TRUE(nobody_came_to_the_upstream());
}

TEST_F(Handshaking, AClientThatResetsBeforeItIsComplete) {
  Peer client = this->client();
  pass(4s);
  client.reset();
  EXPECT_EQ(ends(), "closed by client.reset after 4.00s");
}

TEST_F(Handshaking, ItMayWriteToBothAndTheStreamComesBehind) {
  set_handshake(false);
  Peer client = this->client();
  client.send("hello\nquestion");
  Peer server = this->server();
  EXPECT_TRUE(hears(server, "a client comes\nquestion"));
  server.send("answer");
  EXPECT_TRUE(hears(client, "welcome\nanswer"));
  EXPECT_EQ(relayed_[0], "question") << "what Weir says itself is not of the stream";
  EXPECT_EQ(relayed_[1], "answer");
}

TEST_F(Handshaking, AFailureThatItTellsTheClientIsNoReset) {
  set_handshake(false);
  Peer client = this->client();
  client.send("!");
  EXPECT_TRUE(feels(client, Felt::fin));
  EXPECT_EQ(client.received(), "no\n");
  EXPECT_EQ(ends(), "closed by client.error after 0s");
  EXPECT_EQ(worker_->counters().connect_failures, 0u);
}

TEST_F(Handshaking, AndSoIsAnUpstreamThatIsNotReached) {
  set_handshake(false);
  sockets().errors[upstream_address_.to_string()] = ECONNREFUSED;
  Peer client = this->client();
  client.send("hello\n");
  EXPECT_TRUE(feels(client, Felt::fin));
  EXPECT_EQ(client.received(), "nobody there\n");
  EXPECT_EQ(ends(), "closed by connect.refused after 0s");
  EXPECT_EQ(worker_->counters().connect_failures, 1u);
}

TEST_F(Handshaking, ItMaySayWhoTheClientIs) {
  Peer client = this->client();
  client.send("as 192.0.2.7\n");
  Peer server = this->server();
  ASSERT_TRUE(turn_until([&] { return !opened_.empty(); }));
  EXPECT_EQ(opened_[0].client.to_string(), "192.0.2.7:4711");
  EXPECT_EQ(only_session().client_address().to_string(), "192.0.2.7:4711");
}

TEST_F(Handshaking, ItMayChooseTheAddressThatWeConnectFrom) {
  Peer client = this->client();
  client.send("from 127.0.0.9\n");
  Peer server = this->server();
  EXPECT_EQ(net::peer_address(server.fd()).value().host_string(), "127.0.0.9");
}

TEST_F(Handshaking, AnAddressThatIsNotOursIsNoSource) {
  Peer client = this->client();
  client.send("from 192.0.2.1\n");
  EXPECT_EQ(ends(), "closed by connect.failed after 0s");
  EXPECT_EQ(detail(), "cannot connect from 192.0.2.1:0: Cannot assign requested address");
}

// max_duration runs from accept through every phase.
class MaxDuration : public live::SessionScene {
 protected:
  MaxDuration() { set(TimeoutName::max_duration, 7s); }
  void expect_it_fires_from(SessionPhase where) {
    EXPECT_EQ(phase(), where);
    pass(7s - 1ns);
    EXPECT_EQ(phase(), where) << "it just missed";
    EXPECT_EQ(ending(), "open");
    pass(tick);
    EXPECT_EQ(ending(), "closed by max_duration after 7.00s");
  }
};

TEST_F(MaxDuration, InTheHandshake) {
  const HandshakeInfo line{"line", "a line", [] { return std::make_unique<live::LineHandshake>(); }};
  settings_->rules.handshake = &line;
  Peer client = this->client();
  expect_it_fires_from(SessionPhase::handshake);
  EXPECT_TRUE(feels(client, Felt::reset));
}

TEST_F(MaxDuration, WhileResolving) {
  set(TimeoutName::resolve, 1h);
  set_upstream_name();
  Peer client = this->client();
  expect_it_fires_from(SessionPhase::resolving);
  EXPECT_TRUE(feels(client, Felt::reset));
}

TEST_F(MaxDuration, WhileConnecting) {
  set(TimeoutName::connect, std::nullopt);
  const net::test::FullListener nobody_answers(live::loopback());
  set_upstream(nobody_answers.address());
  Peer client = this->client();
  expect_it_fires_from(SessionPhase::connecting);
  EXPECT_TRUE(feels(client, Felt::reset));
}

TEST_F(MaxDuration, WhileRelaying) {
  Peer client = this->client();
  Peer server = this->server();
  server.send("welcome");
  ASSERT_TRUE(hears(client, "welcome"));
  expect_it_fires_from(SessionPhase::relaying);
  EXPECT_TRUE(feels(client, Felt::fin));
  EXPECT_TRUE(feels(server, Felt::fin));
}

TEST_F(MaxDuration, CountsFromAcceptNotFromTheUpstream) {
  set(TimeoutName::resolve, 1h);
  set_upstream_name();
  Peer client = this->client();
  pass(6s);
  resolver_.answer(net::Addresses{upstream_address_});
  Peer server = this->server();
  ASSERT_TRUE(turn_until([&] { return phase() == SessionPhase::relaying; }));
  pass(1s - 1ns);
  EXPECT_EQ(ending(), "open");
  pass(tick);
  EXPECT_EQ(ending(), "closed by max_duration after 7.00s");
}

using Ending = live::SessionScene;

TEST_F(Ending, EverySessionGivesBackAllItHad) {
  for (int round = 0; round < 3; ++round) {
    Peer client = this->client();
    Peer server = this->server();
    client.end();
    server.end();
    ASSERT_TRUE(turn_until([&] { return shared_->live.load() == 0; }));
    EXPECT_TRUE(feels(client, Felt::fin));
  }
  EXPECT_EQ(worker_->load(), 0u);
  EXPECT_TRUE(phases().empty());
  EXPECT_EQ(closed_.size(), 3u);
}

TEST_F(Ending, WhoIsHandedOverAfterAllWereEndedIsEndedToo) {
  worker_->end_all({.reason = event::CloseReason::shutdown}, "second signal");
  Peer late = this->client();
  EXPECT_EQ(ends(), "closed by shutdown after 0s");
  EXPECT_TRUE(feels(late, Felt::reset));
  EXPECT_TRUE(phases().empty());
}

TEST_F(Ending, AWorkerMayGoWithSessionsInEveryPhase) {
  Peer relaying = this->client();
  Peer server = this->server();
  set_upstream_name();
  Peer resolving = this->client();
  const net::test::FullListener nobody_answers(live::loopback());
  set_upstream(nobody_answers.address());
  Peer connecting = this->client();
  settle();
  EXPECT_EQ(phases().size(), 3u);
  ring_.reset();
  worker_.reset();  // what the sanitizers see is the test
  EXPECT_TRUE(net::test::wait_until([&] { return relaying.look(), relaying.felt() != Felt::nothing; }));
}

}  // namespace
}  // namespace weir::proxy
