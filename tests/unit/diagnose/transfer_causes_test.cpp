// Causes that show in how the bytes of a large message come, or are taken.
#include "diagnose/told.h"

namespace weir::diagnose {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TransferCausesTest : public CausesTest {
 protected:
  static constexpr std::size_t segment = 1448;
  [[nodiscard]] auto server() -> event::LegCounters& { return story.counts(LegName::server); }
  [[nodiscard]] auto client() -> event::LegCounters& { return story.counts(LegName::client); }
  void far_away() {
    server().least_round_trip = client().least_round_trip = 20ms;
    server().receive_mss = server().send_mss = client().send_mss = segment;
    story.begins();
  }
  // An answer in bursts, a pause between them.
  void answers(const std::vector<std::size_t>& bursts, Nanos pause) {
    story.client_sends("q").after(21ms);
    bool first = true;
    for (const std::size_t bytes : bursts) {
      if (!std::exchange(first, false)) story.after(pause);
      story.server_sends(std::string(bytes, 'x')).counters(LegName::client);
    }
  }
};

TEST_F(TransferCausesTest, BurstsThatDoubleFromTenSegmentsOnAreAColdConnection) {
  far_away();
  answers({10 * segment, 20 * segment, 40 * segment, 12'000}, 20ms);
  story.closes();
  EXPECT_EQ(sum("slow_start").lost, 60ms);
  EXPECT_EQ(sum("slow_start").side, Side::server);
  EXPECT_THAT(sum("slow_start").longest.text, HasSubstr("14.5 kB takes round trips of 20.0ms"));
}

TEST_F(TransferCausesTest, BurstsThatDoubleAfterAnIdleTimeWereWarmBefore) {
  far_away();
  answers({200 * segment}, 20ms);
  story.after(1200ms);
  answers({10 * segment, 20 * segment, 40 * segment}, 20ms);
  story.closes();
  EXPECT_EQ(sum("slow_start_after_idle").lost, 40ms);
  EXPECT_THAT(sum("slow_start_after_idle").longest.text, HasSubstr("idle for 1.20s"));
  EXPECT_EQ(sum("slow_start").times, 0u);
}

TEST_F(TransferCausesTest, BurstsThatDoNotDoubleAndOtherPausesAreNoSlowStart) {
  far_away();
  answers({10 * segment, 10 * segment, 10 * segment}, 70ms);
  answers({5 * segment, 10 * segment}, 20ms);
  answers({10 * segment, 100 * segment, 9 * segment}, 20ms);
  story.closes();
  EXPECT_EQ(sum("slow_start").times, 1u) << "of the last, the first pause; what then came is no doubling";
}

TEST_F(TransferCausesTest, ABigAnswerThatWeirSendsOverAColdConnectionIsSeenInItsCounters) {
  far_away();
  client().congestion_window = 10;
  story.counters(LegName::client).client_sends("q").after(1us).server_sends("r");
  client().congestion_window = 80, client().busy += 62ms, client().bytes_acknowledged += 120'000;
  story.after(63ms).client_sends("q").counters(LegName::server).after(1us).server_sends("r").closes();
  EXPECT_EQ(sum("slow_start").lost, 63ms);
  EXPECT_EQ(sum("slow_start").side, Side::client_path);
  EXPECT_EQ(diagnosis.report().idle, Nanos{}) << "it was not the client's";
}

TEST_F(TransferCausesTest, AnIdleTimeThatResetTheWindowIsSeenInItsCounters) {
  far_away();
  client().congestion_window = 176;
  story.counters(LegName::client)
      .after(1200ms)
      .client_sends("q")
      .counters(LegName::server)
      .after(1us)
      .server_sends("r");
  client().congestion_window = 40, client().busy += 62ms, client().bytes_acknowledged += 120'000;
  story.after(63ms).client_sends("q").counters(LegName::server).after(1us).server_sends("r").closes();
  EXPECT_EQ(sum("slow_start_after_idle").lost, 63ms);
  EXPECT_THAT(sum("slow_start_after_idle").longest.text, HasSubstr("idle for 1.20s"));
  EXPECT_EQ(sum("slow_start").times, 0u);
}

TEST_F(TransferCausesTest, AWindowThatTheKernelResetBeforeItsCountersWereToldWasWideEarlier) {
  far_away();
  server().congestion_window = 176;
  story.client_sends("q").counters(LegName::server).after(21ms).server_sends("r").counters(LegName::client);
  server().congestion_window = 10;
  story.after(1200ms).client_sends(std::string(60'000, 'q')).counters(LegName::server);
  server().congestion_window = 40, server().busy += 62ms, server().bytes_acknowledged += 60'000;
  story.after(63ms).server_sends("r").counters(LegName::client).closes();
  EXPECT_EQ(sum("slow_start_after_idle").lost, 63ms);
  EXPECT_EQ(sum("slow_start").times, 0u);
}

TEST_F(TransferCausesTest, AnAnswerThatFitsTheWindowAndAClientThatThinksAreNoSlowStart) {
  far_away();
  client().congestion_window = 10;
  story.counters(LegName::client).client_sends("q").after(1us).server_sends("r");
  client().congestion_window = 11, client().busy += 40ms, client().bytes_acknowledged += 1000;
  story.after(41ms).client_sends("q").counters(LegName::server).after(1us).server_sends("r");
  client().congestion_window = 20, client().busy += 60ms, client().bytes_acknowledged += 120'000;
  story.after(200ms).client_sends("q").counters(LegName::server).after(1us).server_sends("r").closes();
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(TransferCausesTest, ARateThatDoesNotVaryIsCappedAndOneThatDoesIsAQueue) {
  far_away();
  client().delivery_rate = 1'250'000, client().congestion_window = 50;
  const auto transfer = [&](std::uint64_t rate) {
    story.client_sends("q").counters(LegName::server).after(1us).server_sends("r");
    client().delivery_rate = rate, client().round_trip = 69ms, client().busy += 400ms;
    client().bytes_acknowledged += 500'000;
    story.after(400ms);
  };
  story.counters(LegName::client);
  transfer(1'249'000);
  transfer(600'000);
  story.client_sends("q").closes();
  EXPECT_THAT(told(), ElementsAre("rate_cap path.client likely 400", "path_queue path.client likely 400"));
  EXPECT_THAT(sum("rate_cap").longest.text, HasSubstr("9.99 Mbit/s"));
}

TEST_F(TransferCausesTest, AnAnswerThatTricklesAtAConstantRateIsCapped) {
  far_away();
  answers(std::vector<std::size_t>(300, segment), 1200us);
  story.closes();
  EXPECT_EQ(sum("rate_cap").lost, 299 * 1200us);
  EXPECT_THAT(sum("rate_cap").longest.text, HasSubstr("9.67 Mbit/s"));
  EXPECT_EQ(sum("rate_cap").side, Side::server_path);
  EXPECT_EQ(sum("unknown").times, 0u);
}

TEST_F(TransferCausesTest, WithoutAPathToSpeakOfTheServerItselfIs) {
  server().receive_mss = segment;
  story.begins();
  answers(std::vector<std::size_t>(300, segment), 1200us);
  story.closes();
  EXPECT_EQ(sum("rate_cap").side, Side::server);
}

TEST_F(TransferCausesTest, AnAnswerThatTricklesIrregularlyIsNot) {
  far_away();
  story.client_sends("q").after(21ms);
  for (int i = 0; i < 300; ++i) {
    story.server_sends(std::string(segment, 'x')).counters(LegName::client).after(i / 40 % 2 == 0 ? 1200us : 4ms);
  }
  story.closes();
  EXPECT_EQ(sum("rate_cap").times, 0u);
}

TEST_F(TransferCausesTest, BurstsThatStayAsSmallAreASmallSendBuffer) {
  server().own_window = 131'072;
  far_away();
  answers({5000, 6000, 7000, 6500, 5000, 7000, 6000, 6500, 7000, 5000}, 20ms);
  story.closes();
  EXPECT_EQ(sum("small_send_buffer").lost, 9 * 20ms);
  EXPECT_EQ(sum("small_send_buffer").side, Side::server);
}

TEST_F(TransferCausesTest, BurstsOfWeirsOwnWindowAreNot) {
  server().own_window = 17'376;
  far_away();
  answers(std::vector<std::size_t>(12, 17'376), 20ms);
  story.closes();
  EXPECT_EQ(sum("small_send_buffer").times, 0u);
}

TEST_F(TransferCausesTest, ABigAnswerIsToldWithItsRateAndItsRepetitions) {
  far_away();
  const auto big = [&] {
    story.client_sends("q").after(2ms);
    for (int i = 0; i < 8; ++i) {
      story.server_sends(std::string(250'000, 'x')).counters(LegName::client).after(i % 2 == 0 ? 30ms : 70ms);
    }
  };
  for (int i = 0; i < 3; ++i) big();
  story.client_sends("q").closes();
  EXPECT_EQ(sum("big_answer").times, 3u);
  EXPECT_EQ(sum("big_answer").lost, 3 * 330ms);
  EXPECT_EQ(sum("think").lost, 3 * 2ms);
  EXPECT_THAT(last.text, HasSubstr("2.00 MB"));
  EXPECT_THAT(last.text, HasSubstr("the same answer came 3 times"));
}

TEST_F(TransferCausesTest, AnAnswerThatTheServerThoughtLongerOverIsNotBig) {
  far_away();
  story.client_sends("q").after(900ms).server_sends(std::string(2'000'000, 'x')).counters(LegName::client).after(80ms);
  story.server_sends("end").counters(LegName::client).closes();
  EXPECT_EQ(sum("big_answer").times, 0u);
}

TEST_F(TransferCausesTest, RequestsThatArePipelinedWaitForTheOneBefore) {
  story.begins();
  story.client_sends("GET /slow HTTP/1.1\r\n\r\n").after(7ms).client_sends("GET /fast HTTP/1.1\r\n\r\n").after(93ms);
  story.server_sends("HTTP/1.1 200 OK\r\n\r\n").after(100us).server_sends("HTTP/1.1 200 OK\r\n\r\n").closes();
  EXPECT_EQ(sum("head_of_line").lost, 93ms);
  EXPECT_EQ(sum("head_of_line").side, Side::client);
  EXPECT_EQ(sum("think").lost, Nanos{}) << "it is counted once";
}

TEST_F(TransferCausesTest, ARequestInPiecesIsNotPipelined) {
  story.begins();
  story.client_sends("POST / HTTP/1.1\r\n").after(7ms).client_sends("Host: a\r\n\r\n");
  story.after(93ms)
      .server_sends("HTTP/1.1 200 OK\r\n\r\n")
      .client_sends("line\r\n")
      .after(5ms)
      .client_sends("line\r\n");
  story.after(1us).server_sends("ok").closes();
  EXPECT_EQ(sum("head_of_line").times, 0u);
}

}  // namespace
}  // namespace weir::diagnose
