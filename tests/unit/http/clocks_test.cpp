// Each clock of a connection ends it in time, and none before.
#include <gtest/gtest.h>

#include "http/scripted_peer.h"

namespace weir::http {
namespace {

using namespace scripted;
using namespace std::chrono_literals;

class ClocksTest : public testing::Test {
 protected:
  ClocksTest() { world_.at_once = echo; }
  auto asks_and_reads_nothing() -> ScriptedPeer& {
    auto& peer = world_.connect();
    peer.send_buffer = 10;
    peer.stops_reading();
    peer.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
    world_.run();
    return peer;
  }
  // It is open until shortly before `left` has passed, and closed shortly after.
  void closes_after(const ScriptedPeer& peer, Nanos left) {
    world_.pass(left - 20ms);
    EXPECT_FALSE(peer.is_closed());
    world_.pass(40ms);
    EXPECT_TRUE(peer.is_closed());
    EXPECT_EQ(world_.server.connections(), 0u);
  }
  ScriptedWorld world_;
};

TEST_F(ClocksTest, WhoAsksNothing) {
  auto& peer = world_.connect();
  world_.run();
  closes_after(peer, Limits{}.idle_timeout);
}

TEST_F(ClocksTest, WhoAsksNothingMore) {
  auto& peer = world_.connect();
  world_.pass(50s);
  peer.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  closes_after(peer, Limits{}.idle_timeout);
}

TEST_F(ClocksTest, WhoSendsARequestByteByByte) {
  auto& peer = world_.connect();
  peer.sends("G");
  world_.run();
  for (int i = 0; i < 13; ++i) {
    world_.pass(1s);
    peer.sends("E");
  }
  world_.run();
  closes_after(peer, Limits{}.read_timeout - 13s);
}

TEST_F(ClocksTest, WhoSendsABodyByteByByte) {
  auto& peer = world_.connect();
  peer.sends("POST / HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\n");
  world_.run();
  world_.pass(10s);
  peer.sends("x");
  world_.run();
  closes_after(peer, Limits{}.read_timeout - 10s);
}

TEST_F(ClocksTest, WhoTakesNothing) {
  auto& peer = asks_and_reads_nothing();
  closes_after(peer, Limits{}.write_timeout);
}

TEST_F(ClocksTest, WhoTakesNothingOfAStream) {
  struct Chatty final : BodyStream {
    auto begin(std::function<void()>) -> std::string override { return std::string(100, 'x'); }
    auto more(std::size_t room) -> std::string override { return std::string(room, 'x'); }
  };
  world_.at_once = [](const Request&, Responder responder) {
    responder.answer({.stream = std::make_unique<Chatty>()});
  };
  auto& peer = asks_and_reads_nothing();
  closes_after(peer, Limits{}.write_timeout);
}

TEST_F(ClocksTest, WhoTakesALittleNowAndThenMayTakeAsLongAsItLikes) {
  auto& peer = asks_and_reads_nothing();
  for (int i = 0; i < 3; ++i) {
    world_.pass(Limits{}.write_timeout - 1s);
    EXPECT_FALSE(peer.is_closed());
    peer.takes(5);
    world_.run();
  }
  closes_after(peer, Limits{}.write_timeout);
}

TEST_F(ClocksTest, ARequestThatComesInTimeIsAnsweredHoweverLongAgoTheConnectionBegan) {
  auto& peer = world_.connect();
  for (int i = 0; i < 10; ++i) {
    world_.pass(Limits{}.idle_timeout - 1s);
    peer.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
    world_.run();
  }
  EXPECT_EQ(responses_in(peer.received())->size(), 10u);
  EXPECT_FALSE(peer.is_closed());
}

TEST_F(ClocksTest, AStreamThatHasNothingToSayStays) {
  struct Silent final : BodyStream {
    auto begin(std::function<void()>) -> std::string override { return ""; }
    auto more(std::size_t) -> std::string override { return ""; }
  };
  world_.at_once = [](const Request&, Responder responder) {
    responder.answer({.stream = std::make_unique<Silent>()});
  };
  auto& peer = world_.connect();
  peer.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  world_.pass(24h);
  EXPECT_FALSE(peer.is_closed());
  EXPECT_EQ(peer.received(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

}  // namespace
}  // namespace weir::http
