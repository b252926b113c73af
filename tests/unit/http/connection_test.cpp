#include "http/connection.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "http/scripted_peer.h"

namespace weir::http {
namespace {

using namespace scripted;

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() { world_.at_once = echo; }
  static auto seen(ScriptedPeer& peer, bool no_bodies = false) -> std::vector<Seen> {
    auto responses = responses_in(peer.received(), no_bodies);
    if (!responses) ADD_FAILURE() << "no sequence of responses: " << peer.received();
    return responses.value_or(std::vector<Seen>{});
  }
  ScriptedWorld world_;
};

TEST_F(ConnectionTest, ARequestIsAnsweredAndTheConnectionStays) {
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  world_.run();
  EXPECT_EQ(peer.news(), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nGET /a []");
  peer.sends("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  world_.run();
  EXPECT_EQ(peer.news(), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nGET /b []");
  EXPECT_FALSE(peer.saw_fin());
}

TEST_F(ConnectionTest, RequestsInEverySplitGetTheSameAnswers) {
  const std::string requests =
      "POST /a HTTP/1.1\r\nHost: w\r\nContent-Length: 3\r\n\r\nabc"
      "GET /b HTTP/1.1\r\nHost: w\r\n\r\n"
      "POST /c HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n";
  for (std::size_t cut = 0; cut <= requests.size(); ++cut) {
    SCOPED_TRACE(cut);
    auto& peer = world_.connect();
    peer.sends(requests.substr(0, cut));
    world_.run();
    peer.sends(requests.substr(cut));
    world_.run();
    const auto all = seen(peer);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].body, "POST /a [abc]");
    EXPECT_EQ(all[1].body, "GET /b []");
    EXPECT_EQ(all[2].body, "POST /c [def]");
    peer.resets();
  }
}

TEST_F(ConnectionTest, SmallReadsAndWritesChangeNothing) {
  auto& peer = world_.connect();
  peer.most_per_read = 1;
  peer.most_per_write = 1;
  peer.sends("POST /a HTTP/1.1\r\nHost: w\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  const auto all = seen(peer);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].body, "POST /a [abc]");
  EXPECT_EQ(all[1].body, "GET /b []");
}

TEST_F(ConnectionTest, ManyRequestsAtOnceAreAnsweredOneATurn) {
  auto& peer = world_.connect();
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: w\r\n\r\n";
  peer.sends(many);
  peer.deliver();
  world_.loop->run_once(Nanos{0});
  EXPECT_LT(seen(peer).size(), 10u) << "others get their share";
  world_.run();
  const auto all = seen(peer);
  ASSERT_EQ(all.size(), 2000u);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].body, "GET /" + std::to_string(i) + " []");
}

TEST_F(ConnectionTest, HeadGetsTheLengthWithoutTheBody) {
  auto& peer = world_.connect();
  peer.sends("HEAD /a HTTP/1.1\r\nHost: w\r\n\r\nHEAD /b HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
  EXPECT_EQ(peer.received(), head + head);
}

TEST_F(ConnectionTest, StatusWithoutABodyHasNoLength) {
  world_.at_once = [](const Request& request, Responder responder) {
    responder.answer({.status = request.path == "/304" ? 304 : 204, .body = "not sent"});
  };
  auto& peer = world_.connect();
  peer.sends("GET /204 HTTP/1.1\r\nHost: w\r\n\r\nGET /304 HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  EXPECT_EQ(peer.received(), "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\n");
}

TEST_F(ConnectionTest, HeadersOfTheHandlerAreSent) {
  world_.at_once = [](const Request&, Responder responder) {
    Response response{.status = 418};
    response.set("X-Tea", "pot");
    responder.answer(std::move(response));
  };
  auto& peer = world_.connect();
  peer.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  EXPECT_EQ(peer.received(), "HTTP/1.1 418 Unknown\r\nX-Tea: pot\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(ConnectionTest, AContinueIsSentToWhoWaitsForIt) {
  auto& peer = world_.connect();
  peer.sends("POST / HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  world_.run();
  EXPECT_EQ(peer.news(), "HTTP/1.1 100 Continue\r\n\r\n");
  peer.sends("ok");
  world_.run();
  EXPECT_EQ(peer.news(), "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nPOST / [ok]");
}

TEST_F(ConnectionTest, WhoSendsTheBodyWithoutWaitingGetsNoContinue) {
  auto& peer = world_.connect();
  peer.sends("POST / HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok");
  world_.run();
  EXPECT_EQ(seen(peer).size(), 1u);
}

TEST_F(ConnectionTest, AContinueThatIsTakenInPiecesStaysWhole) {
  auto& peer = world_.connect();
  peer.send_buffer = 10;
  peer.stops_reading();
  peer.sends("POST / HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  world_.run();
  peer.sends("ok");
  world_.run();
  peer.reads_on();
  world_.run();
  EXPECT_EQ(peer.received(), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nPOST / [ok]");
}

TEST_F(ConnectionTest, ABodyThatIsTooLongIsRefusedBeforeTheContinue) {
  auto& peer = world_.connect();
  peer.sends("POST / HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nContent-Length: 2000000\r\n\r\n");
  world_.run();
  EXPECT_TRUE(peer.received().starts_with("HTTP/1.1 413 Payload Too Large\r\n")) << peer.received();
}

TEST_F(ConnectionTest, WhatIsMalformedGetsOneAnswerAndTheEnd) {
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.1\r\nHost: w\r\n\r\nnonsense\r\n\r\nGET /b HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  const auto all = seen(peer);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].status, 200);
  EXPECT_EQ(all[1].status, 400);
  EXPECT_TRUE(all[1].body.starts_with("malformed HTTP request: "));
  EXPECT_TRUE(peer.saw_fin());
}

TEST_F(ConnectionTest, AfterTheLastAnswerItWaitsForThePeersEndAndReadsOn) {
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n");
  world_.run();
  EXPECT_TRUE(peer.saw_fin());
  EXPECT_NE(peer.received().find("Connection: close\r\n"), std::string::npos);
  EXPECT_FALSE(peer.is_closed());
  peer.sends(std::string(100'000, 'x'));
  world_.run();
  EXPECT_EQ(peer.unread(), 0u) << "unread bytes would turn the close into a reset, which takes the answer away";
  EXPECT_EQ(world_.server.connections(), 1u);
  peer.sends_fin();
  world_.run();
  EXPECT_TRUE(peer.is_closed());
  EXPECT_FALSE(peer.saw_reset());
  EXPECT_EQ(world_.server.connections(), 0u);
}

TEST_F(ConnectionTest, APeerThatNeverEndsIsNotWaitedForLong) {
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.0\r\n\r\n");
  world_.run();
  world_.pass(Limits{}.linger - std::chrono::milliseconds{20});
  EXPECT_FALSE(peer.is_closed());
  world_.pass(std::chrono::milliseconds{40});
  EXPECT_TRUE(peer.is_closed());
}

TEST_F(ConnectionTest, AClientThatEndsItsSideIsAnsweredFirst) {
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.1\r\nHost: w\r\n\r\nGET /b HTTP/1.1\r\nHost: w\r\n\r\nGET /c HTTP/1.1\r\nHost: w\r\n\r\n");
  peer.sends_fin();
  world_.run();
  EXPECT_EQ(seen(peer).size(), 3u);
  EXPECT_TRUE(peer.is_closed());
  EXPECT_FALSE(peer.saw_reset());
}

TEST_F(ConnectionTest, AClientThatEndsItsSideWhileAnAnswerIsSentGetsTheNextOnesToo) {
  auto& peer = world_.connect();
  peer.send_buffer = 20;
  peer.stops_reading();
  peer.sends("GET /a HTTP/1.1\r\nHost: w\r\n\r\nGET /b HTTP/1.1\r\nHost: w\r\n\r\n");
  peer.sends_fin();
  world_.run();
  EXPECT_FALSE(peer.is_closed());
  peer.reads_on();
  world_.run();
  EXPECT_EQ(seen(peer).size(), 2u);
  EXPECT_TRUE(peer.is_closed());
}

TEST_F(ConnectionTest, HalfARequestAndTheEndIsNoRequest) {
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.1\r\nHost: w\r\n");
  peer.sends_fin();
  world_.run();
  EXPECT_EQ(peer.received(), "");
  EXPECT_TRUE(peer.is_closed());
}

TEST_F(ConnectionTest, WhoAsksAndReadsNothingIsNotReadBeyondALimit) {
  world_.at_once = [](const Request& request, Responder responder) {
    responder.answer({.body = std::string(request.path == "/large" ? 1 << 20 : 1, 'x')});
  };
  auto& peer = world_.connect();
  peer.stops_reading();
  std::string many = "GET /large HTTP/1.1\r\nHost: w\r\n\r\n";
  for (int i = 0; i < 20'000; ++i) many += "GET / HTTP/1.1\r\nHost: w\r\n\r\n";
  peer.sends(many);
  world_.run();
  EXPECT_GT(peer.unread(), many.size() - 50'000);
  EXPECT_LT(world_.server.held_bytes(), (1U << 20U) + 100'000);
  peer.sends("GET /last HTTP/1.1\r\nHost: w\r\n\r\n");
  peer.reads_on();
  world_.run();
  EXPECT_EQ(seen(peer).size(), 20'002u) << "no edge was lost meanwhile";
}

TEST_F(ConnectionTest, AResetIsTheEndWithoutAWord) {
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.1\r\nHost: w\r\n");
  world_.run();
  peer.resets();
  world_.run();
  EXPECT_TRUE(peer.is_closed());
  EXPECT_EQ(world_.server.connections(), 0u);
  EXPECT_TRUE(world_.log.said.empty());
}

TEST_F(ConnectionTest, WhatThereIsNoMemoryToAnswerGets503AndTheConnectionGoesOn) {
  world_.at_once = [](const Request& request, const Responder&) {
    if (request.path == "/a") throw std::bad_alloc();
    throw std::runtime_error("out of tea");
  };
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.1\r\nHost: w\r\n\r\nGET /b HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  const auto all = seen(peer);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].status, 503);
  EXPECT_EQ(all[0].body, "there is not enough memory to answer; ask again later\n");
  EXPECT_EQ(all[1].status, 500);
}

TEST_F(ConnectionTest, AnExceptionOfTheHandlerIsAnsweredAndLogged) {
  world_.at_once = [](const Request&, const Responder&) { throw std::runtime_error("out of tea"); };
  auto& peer = world_.connect();
  peer.sends("GET /a HTTP/1.1\r\nHost: w\r\n\r\nGET /b HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  const auto all = seen(peer);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[1].status, 500);
  EXPECT_EQ(all[1].body, "internal error\n");
  EXPECT_EQ(world_.log.said, (std::vector<std::string>{"GET /a failed: out of tea", "GET /b failed: out of tea"}));
}

}  // namespace
}  // namespace weir::http
