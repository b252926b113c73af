#include <gtest/gtest.h>

#include "base/out_of_memory.h"
#include "http/scripted_peer.h"

namespace weir::http {
namespace {

using namespace scripted;

class LaterAnswersTest : public testing::Test {
 protected:
  auto ask(std::string_view path) -> ScriptedPeer& {
    auto& peer = world_.connect();
    peer.sends(fmt::format("GET {} HTTP/1.1\r\nHost: w\r\n\r\n", path));
    world_.run();
    return peer;
  }
  ScriptedWorld world_;
};

TEST_F(LaterAnswersTest, AnAnswerMayComeInALaterTurn) {
  auto& peer = ask("/a");
  EXPECT_EQ(peer.received(), "");
  ASSERT_EQ(world_.held.size(), 1u);
  EXPECT_TRUE(world_.held.front().responder.is_awaited());
  world_.pass(std::chrono::seconds{5});
  world_.answer({.body = "late"});
  world_.run();
  EXPECT_EQ(peer.received(), "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
}

TEST_F(LaterAnswersTest, NoRequestOvertakesTheOneBefore) {
  auto& peer = ask("/a");
  peer.sends("GET /b HTTP/1.1\r\nHost: w\r\n\r\nGET /c HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  ASSERT_EQ(world_.held.size(), 1u) << "the next is not handled before this one is answered";
  for (const std::string body : {"1", "2", "3"}) {
    ASSERT_EQ(world_.held.size(), 1u);
    world_.answer({.body = body});
    world_.run();
  }
  const auto all = responses_in(peer.received());
  ASSERT_TRUE(all && all->size() == 3u);
  EXPECT_EQ((*all)[0].body + (*all)[1].body + (*all)[2].body, "123");
}

TEST_F(LaterAnswersTest, OtherConnectionsAreServedMeanwhile) {
  auto& slow = ask("/slow");
  auto& quick = ask("/quick");
  std::swap(world_.held[0], world_.held[1]);
  world_.answer({.body = "quick"});
  world_.run();
  EXPECT_TRUE(quick.received().ends_with("quick"));
  EXPECT_EQ(slow.received(), "");
}

TEST_F(LaterAnswersTest, OnlyTheFirstAnswerCounts) {
  auto& peer = ask("/a");
  Responder responder = std::move(world_.held.front().responder);
  EXPECT_FALSE(world_.held.front().responder.is_awaited()) << "it has moved";
  responder.answer({.body = "one"});
  EXPECT_FALSE(responder.is_awaited());
  responder.answer({.body = "two"});
  world_.run();
  EXPECT_EQ(responses_in(peer.received())->size(), 1u);
}

TEST_F(LaterAnswersTest, OneThatWasDroppedAsMemoryRanOutIsStatus503) {
  auto& peer = ask("/a");
  note_out_of_memory();
  world_.held.clear();
  world_.run();
  EXPECT_EQ(responses_in(peer.received())->front().status, 503);
  EXPECT_TRUE(world_.log.said.empty());
}

TEST_F(LaterAnswersTest, ADroppedResponderIsStatus500) {
  auto& peer = ask("/a");
  world_.held.clear();
  world_.run();
  EXPECT_EQ(responses_in(peer.received())->front().status, 500);
  EXPECT_EQ(world_.log.said, std::vector<std::string>{"GET /a failed: its handler gave no answer"});
  peer.sends("GET /b HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  world_.answer({});
  world_.run();
  EXPECT_EQ(responses_in(peer.received())->size(), 2u) << "the connection goes on";
}

TEST_F(LaterAnswersTest, AResponderThatIsOverwrittenIsDropped) {
  auto& first = ask("/a");
  auto& second = ask("/b");
  world_.held[0].responder = std::move(world_.held[1].responder);
  EXPECT_EQ(responses_in(first.received())->front().status, 500);
  EXPECT_EQ(second.received(), "");
  world_.answer({.status = 201});
  EXPECT_EQ(responses_in(second.received())->front().status, 201);
}

TEST_F(LaterAnswersTest, AHandlerThatForgetsToAnswerIsStatus500AtOnce) {
  world_.at_once = [](const Request&, const Responder&) {};
  auto& peer = ask("/a");
  EXPECT_EQ(responses_in(peer.received())->front().status, 500);
  EXPECT_EQ(world_.log.said.size(), 1u);
}

TEST_F(LaterAnswersTest, AHandlerMayFailAndStillAnswerLater) {
  world_.at_once = [this](Request request, Responder responder) {
    world_.held.push_back({std::move(request), std::move(responder)});
    throw std::runtime_error("after that");
  };
  auto& peer = ask("/a");
  EXPECT_EQ(peer.received(), "");
  world_.answer({.status = 201});
  EXPECT_EQ(responses_in(peer.received())->size(), 1u);
  EXPECT_EQ(world_.log.said, std::vector<std::string>{"GET /a failed: after that"});
}

TEST_F(LaterAnswersTest, AnAnswerAfterTheConnectionDiedIsForNobody) {
  auto& peer = ask("/a");
  peer.resets();
  world_.run();
  EXPECT_EQ(world_.server.connections(), 0u);
  EXPECT_FALSE(world_.held.front().responder.is_awaited());
  world_.answer({.body = "x"});
  world_.run();
  EXPECT_TRUE(peer.is_closed());
  EXPECT_TRUE(world_.log.said.empty());
}

TEST_F(LaterAnswersTest, AResponderMayOutliveTheServer) {
  std::optional<Responder> kept;
  {
    ScriptedWorld world;
    auto& peer = world.connect();
    peer.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
    world.run();
    kept = std::move(world.held.front().responder);
    EXPECT_TRUE(kept->is_awaited());
  }
  EXPECT_FALSE(kept->is_awaited());
  kept->answer({});
}

TEST_F(LaterAnswersTest, AHandlerThatNeverAnswersHoldsAConnectionForATimeOnly) {
  auto& peer = ask("/a");
  world_.pass(Limits{}.answer_timeout - std::chrono::milliseconds{20});
  EXPECT_EQ(peer.received(), "");
  world_.pass(std::chrono::milliseconds{40});
  const auto all = responses_in(peer.received());
  ASSERT_TRUE(all && all->size() == 1u);
  EXPECT_EQ(all->front().status, 503);
  EXPECT_TRUE(peer.saw_fin());
  EXPECT_EQ(world_.log.said, std::vector<std::string>{"GET /a: no answer within 30.0s"});
  world_.answer({.body = "too late"});
  world_.run();
  EXPECT_EQ(responses_in(peer.received())->size(), 1u);
}

TEST_F(LaterAnswersTest, AClientThatEndsItsSideIsStillAnswered) {
  auto& peer = ask("/a");
  peer.sends_fin();
  world_.run();
  EXPECT_FALSE(peer.is_closed());
  world_.answer({.body = "x"});
  world_.run();
  EXPECT_EQ(responses_in(peer.received())->size(), 1u);
  EXPECT_TRUE(peer.is_closed());
}

TEST_F(LaterAnswersTest, WhatIsSentMeanwhileIsReadUpToALimit) {
  auto& peer = ask("/a");
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "GET /more HTTP/1.1\r\nHost: w\r\n\r\n";
  peer.sends(many);
  world_.run();
  EXPECT_GT(peer.unread(), many.size() - 50'000);
  world_.at_once = echo;
  world_.answer({});
  world_.run();
  EXPECT_EQ(responses_in(peer.received())->size(), 10'001u);
}

TEST_F(LaterAnswersTest, AfterTheLastAnswerAllThatWasSentMeanwhileIsReadToo) {
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.0\r\n\r\n" + std::string(100'000, 'x'));
  world_.run();
  EXPECT_GT(peer.unread(), 50'000u);
  world_.answer({.body = "last"});
  world_.run();
  EXPECT_EQ(peer.unread(), 0u) << "else the close is a reset, which takes the answer away";
  peer.sends_fin();
  world_.run();
  EXPECT_TRUE(peer.is_closed());
}

TEST_F(LaterAnswersTest, AStreamThatBeginsLaterHearsOfItsPeersEnd) {
  struct Silent final : BodyStream {
    auto begin(std::function<void()>) -> std::string override { return ""; }
    auto more(std::size_t) -> std::string override { return ""; }
  };
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.1\r\nHost: w\r\n\r\n" + std::string(100'000, 'x'));
  peer.sends_fin();
  world_.run();
  world_.answer({.stream = std::make_unique<Silent>()});
  world_.run();
  EXPECT_TRUE(peer.is_closed());
}

}  // namespace
}  // namespace weir::http
