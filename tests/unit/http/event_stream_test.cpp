#include "http/event_stream.h"

#include <gtest/gtest.h>

#include "http/scripted_peer.h"

namespace weir::http {
namespace {

using namespace scripted;
using namespace std::chrono_literals;

TEST(ServerEvents, AreFramedAsBrowsersReadThem) {
  std::string text;
  append_event(text, {.id = 7, .type = "session.opened", .data = "{\"a\":1}"});
  append_event(text, {.type = "note", .data = "two\nlines"});
  append_gap(text, 3);
  EXPECT_EQ(text,
            "id: 7\nevent: session.opened\ndata: {\"a\":1}\n\n"
            "event: note\ndata: two\ndata: lines\n\n"
            "event: gap\ndata: {\"missed\":3}\n\n");
}

TEST(EventQueue, GivesEventsInOrderAndAsManyAsFit) {
  EventQueue queue(1000);
  for (const char* data : {"1", "2", "3"}) EXPECT_TRUE(queue.push({.type = "t", .data = data}));
  const std::string one = "event: t\ndata: 1\n\n";
  EXPECT_EQ(queue.waiting_bytes(), 3 * one.size());
  EXPECT_EQ(queue.take(1), one) << "at least one";
  EXPECT_EQ(queue.take(1000), "event: t\ndata: 2\n\nevent: t\ndata: 3\n\n");
  EXPECT_EQ(queue.take(1000), "");
  EXPECT_EQ(queue.waiting_bytes(), 0u);
}

TEST(EventQueue, WhatDoesNotFitIsAGapInItsPlace) {
  EventQueue queue(60);
  const std::string text(20, 'x');
  EXPECT_TRUE(queue.push({.type = "t", .data = text}));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(queue.push({.type = "t", .data = text}));
  EXPECT_LE(queue.waiting_bytes(), 60u);
  EXPECT_EQ(queue.missed(), 5u);
  EXPECT_EQ(queue.take(1000), "event: t\ndata: " + text + "\n\nevent: gap\ndata: {\"missed\":5}\n\n");
  EXPECT_TRUE(queue.push({.type = "t", .data = "y"}));
  EXPECT_EQ(queue.take(1000), "event: t\ndata: y\n\n") << "a gap is told once";
}

TEST(EventQueue, AGapStandsBeforeWhatCameAfterIt) {
  EventQueue queue(75);
  EXPECT_TRUE(queue.push({.type = "t", .data = std::string(20, 'a')}));
  EXPECT_FALSE(queue.push({.type = "t", .data = std::string(50, 'b')}));
  EXPECT_FALSE(queue.push({.type = "t", .data = "c"})) << "the gap needs room too";
  (void)queue.take(1);  // tells the gap at once, as nothing else waits
  EXPECT_FALSE(queue.push({.type = "t", .data = std::string(100, 'd')}));
  EXPECT_TRUE(queue.push({.type = "t", .data = "e"}));
  EXPECT_EQ(queue.take(1000), "event: gap\ndata: {\"missed\":1}\n\nevent: t\ndata: e\n\n");
  EXPECT_EQ(queue.missed(), 3u);
}

// Lines that the test adds; each stream reads all of them.
class Feed {
 public:
  class Stream final : public BodyStream {
   public:
    explicit Stream(Feed& feed) : feed_(feed) { ++feed_.open; }
    ~Stream() override {
      --feed_.open;
      feed_.wake = nullptr;
    }
    Stream(const Stream&) = delete;
    auto operator=(const Stream&) -> Stream& = delete;
    auto begin(std::function<void()> call) -> std::string override {
      feed_.wake = std::move(call);
      return "begin\n";
    }
    auto more(std::size_t room) -> std::string override {
      feed_.largest_room = std::max(feed_.largest_room, room);
      std::string out;
      while (out.size() < room && at_ < feed_.lines.size()) out += feed_.lines[at_++];
      return out;
    }
    [[nodiscard]] auto patience() const -> std::optional<Nanos> override { return 20s; }
    [[nodiscard]] auto filler() const -> std::string_view override { return feed_.filler; }

   private:
    Feed& feed_;
    std::size_t at_ = 0;
  };
  void add(std::string line) {
    lines.push_back(std::move(line));
    if (wake) wake();
  }
  std::vector<std::string> lines;
  std::function<void()> wake;
  std::string_view filler;
  std::size_t largest_room = 0;
  int open = 0;
};

class StreamsTest : public testing::Test {
 protected:
  StreamsTest() {
    world_.at_once = [this](const Request&, Responder responder) {
      Response response;
      response.set("Content-Type", "text/event-stream");
      response.stream = std::make_unique<Feed::Stream>(feed_);
      responder.answer(std::move(response));
    };
  }
  auto follow(const std::string& method = "GET") -> ScriptedPeer& {
    auto& peer = world_.connect();
    peer.sends(method + " /events HTTP/1.1\r\nHost: w\r\n\r\n");
    world_.run();
    return peer;
  }
  static constexpr std::string_view head =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
  Feed feed_;
  ScriptedWorld world_{{.stream_bytes = 1000}};
};

TEST_F(StreamsTest, WhatIsFedIsSentAsItComes) {
  auto& peer = follow();
  EXPECT_EQ(peer.news(), std::string(head) + "begin\n");
  feed_.add("one\n");
  world_.run();
  EXPECT_EQ(peer.news(), "one\n");
  world_.pass(1h);
  feed_.add("two\n");
  feed_.add("three\n");
  world_.run();
  EXPECT_EQ(peer.news(), "two\nthree\n");
  EXPECT_EQ(peer.patience, 20s);
}

TEST_F(StreamsTest, ASlowReaderGetsAllOfItAndHoldsLittleMemory) {
  auto& peer = follow();
  peer.send_buffer = 100;
  peer.stops_reading();
  std::string all;
  for (int i = 0; i < 5000; ++i) {
    feed_.add(fmt::format("line {}\n", i));
    all += feed_.lines.back();
    peer.takes(9);  // as fast as lines come, but never all
    world_.run();
    ASSERT_LE(world_.server.held_bytes(), 5000u);
  }
  EXPECT_GT(peer.received().size(), all.size() / 2);
  peer.reads_on();
  world_.run();
  EXPECT_EQ(peer.received(), std::string(head) + "begin\n" + all) << "nothing waits for the next event";
}

TEST_F(StreamsTest, AReaderThatCatchesUpIsToldTheRestAtOnce) {
  auto& peer = follow();
  peer.stops_reading();
  peer.send_buffer = 0;
  std::string all;
  for (int i = 0; i < 1000; ++i) feed_.add(fmt::format("line {}\n", i));
  for (const auto& line : feed_.lines) all += line;
  world_.run();
  peer.send_buffer = 1 << 20;
  peer.sends("news");  // an edge: there is room
  world_.run();
  peer.reads_on();
  world_.run();
  EXPECT_TRUE(peer.received().ends_with(all));
}

TEST_F(StreamsTest, SilenceIsFilledForThoseWhoCutSilentConnections) {
  feed_.filler = ":\n";
  auto& peer = follow();
  (void)peer.news();
  world_.pass(Limits{}.stream_silence - 20ms);
  EXPECT_EQ(peer.news(), "");
  feed_.add("one\n");
  world_.run();
  world_.pass(Limits{}.stream_silence - 20ms);
  EXPECT_EQ(peer.news(), "one\n");
  world_.pass(40ms);
  EXPECT_EQ(peer.news(), ":\n");
  world_.pass(Limits{}.stream_silence + 40ms);
  EXPECT_EQ(peer.news(), ":\n");
  peer.stops_reading();
  peer.send_buffer = 0;
  world_.pass(Limits{}.stream_silence + 40ms);
  world_.pass(Limits{}.write_timeout + 40ms);
  EXPECT_TRUE(peer.is_closed()) << "a filler that nobody takes is as any other byte";
}

// So many pieces of text, and then its end, which the test may hold back.
struct Ending final : BodyStream {
  Ending(int count, const bool& over, std::function<void()>& wake) : left(count), is_over(over), wake_it(wake) {}
  [[nodiscard]] auto can_end() const -> bool override { return true; }
  auto begin(std::function<void()> wake) -> std::string override {
    wake_it = std::move(wake);
    return "";
  }
  auto more(std::size_t) -> std::string override { return left-- > 0 ? std::string(20, 'x') : std::string(); }
  auto ended() -> std::optional<Fields> override {
    if (!is_over) return std::nullopt;
    return Fields{{"Weir-Summary", "all of it"}};
  }
  int left;
  const bool& is_over;
  std::function<void()>& wake_it;
};

TEST_F(StreamsTest, OneThatEndsIsSentInChunksSoThatItsEndIsNoCut) {
  bool over = false;
  std::function<void()> wake;
  world_.at_once = [&](const Request&, Responder responder) {
    responder.answer({.stream = std::make_unique<Ending>(2, over, wake)});
  };
  auto& peer = follow();
  const std::string piece = "14\r\n" + std::string(20, 'x') + "\r\n";
  EXPECT_EQ(peer.news(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + piece + piece);
  EXPECT_FALSE(peer.saw_fin());
  over = true;
  wake();
  world_.run();
  EXPECT_EQ(peer.news(), "0\r\nWeir-Summary: all of it\r\n\r\n");
  EXPECT_TRUE(peer.saw_fin());

  auto& old = world_.connect();
  old.sends("GET /events HTTP/1.0\r\n\r\n");
  world_.run();
  EXPECT_EQ(old.news(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + std::string(40, 'x')) << "it knows no chunks";
  EXPECT_TRUE(old.saw_fin());
}

TEST_F(StreamsTest, TheEndWaitsForASlowReader) {
  const bool over = true;
  std::function<void()> wake;
  world_.at_once = [&](const Request&, Responder responder) {
    responder.answer({.stream = std::make_unique<Ending>(1000, over, wake)});
  };
  auto& peer = world_.connect();
  peer.send_buffer = 100;
  peer.stops_reading();
  peer.sends("GET /events HTTP/1.1\r\nHost: w\r\n\r\n");
  world_.run();
  EXPECT_FALSE(peer.saw_fin());
  peer.reads_on();
  world_.run();
  EXPECT_TRUE(peer.received().ends_with("\r\n0\r\nWeir-Summary: all of it\r\n\r\n"));
  EXPECT_TRUE(peer.saw_fin());
}

TEST_F(StreamsTest, AReaderThatTakesNothingIsEnded) {
  auto& peer = follow();
  peer.stops_reading();
  peer.send_buffer = 0;
  feed_.add("one\n");
  world_.run();
  world_.pass(Limits{}.write_timeout - 20ms);
  EXPECT_FALSE(peer.is_closed());
  feed_.add("more of it does not help\n");
  world_.pass(40ms);
  EXPECT_TRUE(peer.is_closed());
  EXPECT_EQ(feed_.open, 0);
}

TEST_F(StreamsTest, AStreamEndsWithItsPeer) {
  for (const bool in_order : {true, false}) {
    auto& peer = follow();
    EXPECT_EQ(feed_.open, 1);
    in_order ? peer.sends_fin() : peer.resets();
    world_.run();
    EXPECT_EQ(feed_.open, 0);
    EXPECT_TRUE(peer.is_closed());
  }
}

TEST_F(StreamsTest, WhatAReaderSendsIsThrownAway) {
  auto& peer = follow();
  peer.sends(std::string(1'000'000, 'x'));
  world_.run();
  EXPECT_EQ(peer.unread(), 0u);
  EXPECT_LE(world_.server.held_bytes(), 20'000u);
  feed_.add("still here\n");
  world_.run();
  EXPECT_TRUE(peer.received().ends_with("still here\n"));
}

TEST_F(StreamsTest, HeadBeginsNoStream) {
  auto& peer = follow("HEAD");
  EXPECT_EQ(peer.received(), head);
  EXPECT_TRUE(peer.saw_fin());
  EXPECT_EQ(feed_.open, 0);
}

TEST_F(StreamsTest, AStreamIsNotBegunForWhoHasLeft) {
  auto& peer = world_.connect();
  peer.sends("GET /events HTTP/1.1\r\nHost: w\r\n\r\n");
  peer.sends_fin();
  world_.run();
  EXPECT_EQ(feed_.open, 0);
  EXPECT_TRUE(peer.is_closed());
}

TEST_F(StreamsTest, StreamsEndWhenTheServerStops) {
  auto& peer = follow();
  world_.server.stop();
  world_.run();
  EXPECT_TRUE(peer.is_closed());
  EXPECT_EQ(feed_.open, 0);
}

}  // namespace
}  // namespace weir::http
