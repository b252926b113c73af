#include "diagnose/story.h"

namespace weir::diagnose {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

// Keeps what it is told as lines: "exchange 1: client_sends 40ms upstream, 10 before, 10+20".
class Notes final : public TimelineReader {
 public:
  void on_pause(const Pause& pause) override {
    lines.push_back(fmt::format("{}: {} {} {}, {} before, {}+{}", pause.exchange, to_string(pause.segment),
                                std::chrono::duration_cast<std::chrono::milliseconds>(pause.length).count(),
                                to_string(pause.direction), pause.before, pause.piece, pause.behind));
    last = pause;
  }
  void on_exchange(const Exchange& exchange) override { exchanges.push_back(exchange); }
  std::vector<std::string> lines;
  std::vector<Exchange> exchanges;
  Pause last;
};

class TimelineTest : public testing::Test {
 protected:
  Notes notes;
  SessionTimeline timeline{ProxyId{}, SessionNumber{1}, start, notes};
  Story story{[this](const event::Event& event) { timeline.on_event(event); }};
};

TEST_F(TimelineTest, EachMomentIsSomebodys) {
  story.begins();
  story.after(5ms).client_sends("SELECT", 2ms, 3ms).after(30ms).server_sends("1", 1ms, 1ms).after(7ms);
  story.server_sends("2").after(9ms).client_sends("next").closes();
  EXPECT_THAT(notes.lines,
              ElementsAre("1: client_waits 5 upstream, 0 before, 0+6", "1: reads 2 upstream, 0 before, 0+0",
                          "1: passes 3 upstream, 0 before, 0+0", "1: server_answers 30 downstream, 0 before, 0+1",
                          "1: reads 1 downstream, 0 before, 0+0", "1: passes 1 downstream, 0 before, 0+0",
                          "1: server_sends 7 downstream, 1 before, 1+1", "2: client_waits 9 upstream, 0 before, 0+4"));
  ASSERT_EQ(notes.exchanges.size(), 2u);
  EXPECT_TRUE(notes.exchanges[0].answered);
  EXPECT_FALSE(notes.exchanges[1].answered);
  const Exchange& exchange = notes.exchanges[0];
  EXPECT_EQ(exchange.end - exchange.begin, 44ms);
  Nanos sum{};
  for (const Nanos each : exchange.time) sum += each;
  EXPECT_EQ(sum, exchange.end - exchange.begin) << "nothing is counted twice, nothing is left out";
  EXPECT_EQ(exchange.bytes[0], 6u);
  EXPECT_EQ(exchange.bytes[1], 2u);
}

TEST_F(TimelineTest, WhatTakesLessThanAMillisecondIsAddedUpAndNotTold) {
  story.begins();
  for (int i = 0; i < 3; ++i) story.client_sends("q").after(900us).server_sends("a");
  story.closes();
  EXPECT_THAT(notes.lines, IsEmpty());
  ASSERT_EQ(notes.exchanges.size(), 3u);
  EXPECT_EQ(notes.exchanges[2].time[static_cast<std::size_t>(Segment::server_answers)], 900us);
  EXPECT_EQ(notes.exchanges[2].told[static_cast<std::size_t>(Segment::server_answers)], Nanos{});
}

TEST_F(TimelineTest, ACutShowsWhatStandsAroundIt) {
  story.begins();
  story.client_sends("a request that is longer than what is shown of it").after(40ms).client_sends("and its rest");
  EXPECT_THAT(notes.lines, IsEmpty()) << "the sink's counters are still to come";
  story.counters(LegName::server);
  EXPECT_THAT(notes.lines, ElementsAre("1: client_sends 40 upstream, 49 before, 49+12"));
  EXPECT_EQ(notes.last.text_before, "than what is shown of it");
  EXPECT_EQ(notes.last.text_behind, "and its rest");
  EXPECT_EQ(notes.last.offset, 49u);
  EXPECT_EQ(notes.last.source.grown(&event::LegCounters::data_segments_in), 1u);
}

TEST_F(TimelineTest, AServerThatSpeaksFirstMakesNoExchange) {
  story.begins();
  story.after(10ms).server_sends("220 ready").after(5ms).client_sends("HELO").after(1ms).server_sends("250");
  story.closes();
  ASSERT_EQ(notes.exchanges.size(), 1u);
  EXPECT_EQ(notes.exchanges[0].bytes[1], 3u);
  EXPECT_EQ(notes.lines.front(), "0: server_sends 10 downstream, 0 before, 0+9");
}

TEST_F(TimelineTest, WhatArrivedWhileWeirWasBusyIsNotMeasuredTwice) {
  story.begins();
  story.client_sends("a", 20ms);  // read 20 ms late; the next one had come meanwhile
  story.tell(event::ChunkRead{{}, 1, start + 5ms, Direction::upstream});
  story.server_sends("x").closes();
  EXPECT_THAT(notes.lines, ElementsAre("1: reads 20 upstream, 0 before, 0+0"));
}

TEST_F(TimelineTest, WhatARelaysOtherConnectionTellsIsNotToldAgain) {
  story.begins();
  event::PacketEvidence packets{.direction = Direction::downstream};
  packets.relayed = event::Relayed{SessionNumber{2}, start + 100us + 5ms, start + 100us + 55ms};
  story.client_sends("q").after(60ms).packets(packets).server_sends("r").after(3ms).server_sends("s").closes();
  EXPECT_THAT(notes.lines, ElementsAre("1: server_answers 5 downstream, 0 before, 0+0",
                                       "1: server_answers 5 downstream, 0 before, 0+1",
                                       "1: server_sends 3 downstream, 1 before, 1+1"));
  ASSERT_EQ(notes.exchanges.size(), 1u);
  EXPECT_EQ(notes.exchanges[0].relayed, 50ms);
  EXPECT_EQ(notes.exchanges[0].end - notes.exchanges[0].begin, 63ms);
}

TEST_F(TimelineTest, WhatACaptureHoldsTheLengthOfCountsAndHasNoText) {
  story.begins();
  BlockPool blocks;
  const std::string_view text = "abc";
  story.tell(event::ChunkRead{blocks.copy(std::as_bytes(std::span(text))), 0, {}, Direction::upstream, 97});
  story.after(40ms).tell(
      event::ChunkRead{blocks.copy(std::as_bytes(std::span(text))), 100, {}, Direction::upstream, 5});
  EXPECT_EQ(notes.lines.size(), 0u) << "it waits for the counters";
  story.closes();
  EXPECT_THAT(notes.lines, ElementsAre("1: client_sends 40 upstream, 100 before, 100+8"));
  EXPECT_EQ(notes.last.text_before, "");
  EXPECT_EQ(notes.last.text_behind, "abc");
}

TEST_F(TimelineTest, AConnectionThatFailsIsConnectingToItsEnd) {
  story.accepted().resolved("db", 3ms).after(3ms).tried(ECONNREFUSED, 2ms).after(2ms);
  story.closes(event::CloseReason::connect_refused);
  EXPECT_THAT(notes.lines, ElementsAre("0: connecting 5 upstream, 0 before, 0+0"));
  ASSERT_TRUE(notes.last.connect);
  EXPECT_EQ(notes.last.connect->error, ECONNREFUSED);
  EXPECT_EQ(notes.last.connect->resolve, 3ms);
}

}  // namespace
}  // namespace weir::diagnose
