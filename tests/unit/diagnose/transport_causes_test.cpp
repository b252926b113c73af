// Causes that show in the kernel's counters, and in how a stream ends.
#include "diagnose/known_constant.h"
#include "diagnose/told.h"

namespace weir::diagnose {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TransportCausesTest : public CausesTest {
 protected:
  [[nodiscard]] auto server() -> event::LegCounters& { return story.counts(LegName::server); }
  [[nodiscard]] auto client() -> event::LegCounters& { return story.counts(LegName::client); }
  // A request that is answered after so long; what the kernel counted meanwhile was set by `change`.
  void answered_after(Nanos length, const std::function<void()>& change) {
    story.client_sends("q").after(length);
    change();
    story.server_sends("r").counters(LegName::client);
  }
  // An answer that is passed on at once, and a next request so much later.
  void asked_again_after(Nanos length, const std::function<void()>& change) {
    story.client_sends("q").after(1us).server_sends("r").after(length);
    change();
    story.client_sends("q").counters(LegName::server).after(1us).server_sends("r");
  }
};

TEST_F(TransportCausesTest, ARequestThatThePeerHadTwiceSaysThatTheAnswerWasLost) {
  story.begins();
  answered_after(274ms, [&] { server().total_retransmits = server().needless = 1; });
  answered_after(244ms, [&] { ++server().total_retransmits; });
  story.closes();
  EXPECT_THAT(told(), ElementsAre("reply_lost path.server shown 274", "loss path.server shown 244"));
}

TEST_F(TransportCausesTest, AnAnswerThatComesSoonerThanThePathPermitsIsThatOfTheFirstRequest) {
  server().least_round_trip = 20ms;
  story.begins();
  const auto sent_again = [&](Nanos ago) {
    answered_after(250ms, [&] { ++server().total_retransmits, server().since_sent = ago; });
  };
  sent_again(12ms);
  sent_again(20ms);
  story.closes();
  EXPECT_THAT(told(), ElementsAre("reply_lost path.server shown 250", "loss path.server shown 250"));
}

TEST_F(TransportCausesTest, AKernelThatIsLateAndProbesForItHasLostNothing) {
  const auto probes = [&](Nanos least_round_trip, std::uint32_t needless) {
    server().least_round_trip = least_round_trip;
    answered_after(8ms, [&] { ++server().total_retransmits, server().needless += needless; });
  };
  story.begins();
  probes(40us, 0);
  probes(2ms, 1);
  probes(2ms, 0);
  story.closes();
  EXPECT_THAT(told(), ElementsAre("think server likely 8", "think server likely 8", "loss path.server shown 8"));
}

TEST_F(TransportCausesTest, TimersThatRunOutAgainAndAgainSayThatThePathWasGone) {
  server().bytes_received = 1;
  story.begins();
  answered_after(1400ms, [&] { server().total_retransmits = server().total_timeouts = 3; });
  answered_after(900ms, [&] { server().total_retransmits += 2, server().total_timeouts += 1; });
  story.closes();
  EXPECT_THAT(told(), ElementsAre("path_gone path.server shown 1400", "loss path.server shown 900"));
}

TEST_F(TransportCausesTest, APeerThatHasNeverAnsweredMayHaveAFullAcceptQueue) {
  story.begins();
  answered_after(1900ms, [&] { server().total_retransmits = 4, server().total_timeouts = 3; });
  story.closes();
  EXPECT_THAT(told(), ElementsAre("path_gone path.server likely 1900"));
}

TEST_F(TransportCausesTest, APeerThatVanishedIsToldAtTheEnd) {
  server().bytes_received = 1;
  server().peer_window = 65'536;
  story.begins().client_sends("q");
  server().unacknowledged = 1, server().backoff = 3;
  story.after(3s).counters(LegName::server).closes();
  EXPECT_THAT(told(), ElementsAre("path_gone path.server shown 3000"));
}

TEST_F(TransportCausesTest, AnAnswerThatNeverReachedTheClientIsItsPaths) {
  client().bytes_received = 1;
  client().peer_window = 65'536;
  story.begins().client_sends("q").after(1us).server_sends("r");
  client().unacknowledged = 1, client().backoff = 2;
  story.after(2s).counters(LegName::client).closes();
  EXPECT_THAT(told(), ElementsAre("path_gone path.client shown 2000"));
}

TEST_F(TransportCausesTest, AServerThatIsStillThinkingAtTheEndIsNotJudged) {
  server().peer_window = 65'536;
  story.begins().client_sends("q").after(3s).counters(LegName::server).closes();
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(TransportCausesTest, FullSegmentsThatVanishWhileAShortOneArrivesAreABlackHole) {
  server().send_mss = 1448, server().peer_window = 65'536, server().bytes_received = 1;
  story.begins().client_sends(std::string(3000, 'q'));
  server().unacknowledged = 3, server().backoff = 2, server().selectively_acked = 1, server().taken_as_lost = 2;
  story.after(2s).counters(LegName::server).closes();
  EXPECT_THAT(told(), ElementsAre("mtu_black_hole path.server likely 2000"));
  EXPECT_THAT(last.text, HasSubstr("1448 bytes"));
}

TEST_F(TransportCausesTest, AKernelThatFoundASmallerSizeShowsTheBlackHole) {
  server().send_mss = 1448, server().bytes_received = 1;
  story.begins();
  answered_after(3s, [&] { server().send_mss = 1024, server().total_retransmits = server().total_timeouts = 4; });
  story.closes();
  EXPECT_THAT(told(), ElementsAre("mtu_black_hole path.server shown 3000"));
}

TEST_F(TransportCausesTest, ProbesOfAFullWindowThatNobodyAnswers) {
  const auto stuck = [&](std::uint8_t probes) {
    client().peer_window = 0, client().unsent_bytes = 22'528, client().probes = probes;
    story.after(2s).counters(LegName::client).closes();
  };
  story.begins().client_sends("q").after(1us).server_sends("r");
  stuck(2);
  EXPECT_THAT(told(), ElementsAre("window_update_lost path.client likely 2000"));
}

TEST_F(TransportCausesTest, AReceiverThatAnswersProbesDoesNotRead) {
  story.begins().client_sends("q").after(1us).server_sends("r");
  client().peer_window = 0, client().unsent_bytes = 22'528, client().probes = 1;
  story.after(2s).counters(LegName::client).closes();
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(TransportCausesTest, AWindowThatIsTooSmallIsToldFromAClientThatDoesNotRead) {
  client().least_round_trip = 20ms, client().peer_window = 8192;
  story.begins();
  const auto drains = [&](std::uint64_t bytes) {
    asked_again_after(
        400ms, [&] { client().busy += 395ms, client().window_limited += 390ms, client().bytes_acknowledged += bytes; });
  };
  drains(120'000);
  drains(14'000);
  drains(60'000);  // 0.37 of what the window permits: neither
  story.closes();
  EXPECT_EQ(sum("small_window").lost, 400ms);
  EXPECT_EQ(sum("not_reading").lost, 400ms);
  EXPECT_EQ(diagnosis.report().idle, 400ms);
}

TEST_F(TransportCausesTest, LossOfATransferIsToldFromALoneLostPacket) {
  story.begins();
  answered_after(300ms,
                 [&] { server().busy += 300ms, server().data_segments_out += 200, server().total_retransmits += 4; });
  answered_after(300ms, [&] { server().busy += 300ms, ++server().data_segments_out, ++server().total_retransmits; });
  story.closes();
  EXPECT_THAT(told(), ElementsAre("congestion path.server shown 300", "loss path.server shown 300"));
  EXPECT_THAT(sum("congestion").longest.text, HasSubstr("2.0 %"));
}

TEST_F(TransportCausesTest, ALegThatIsBusySendingIsNoLagOfOurOwn) {
  story.begins().client_sends("q").after(1us);
  story.tell(event::ChunkRead{{}, 0, std::nullopt, Direction::downstream});
  client().busy = 150ms;
  story.after(150ms).tell(event::ChunkWritten{1, Direction::downstream});
  story.counters(LegName::client).closes();
  EXPECT_THAT(told(), ElementsAre("unknown weir likely 150"));
}

TEST_F(TransportCausesTest, AViewThatHoldsTheSessionUpIsToldFromOurOwnLag) {
  story.begins().client_sends("q").after(1us);
  server().held_up = 48ms;
  story.server_sends("r", 50ms).counters(LegName::client).after(1us).client_sends("q");
  story.server_sends("r", 50ms).counters(LegName::client).closes();
  EXPECT_THAT(told(), ElementsAre("view_blocked weir shown 50", "own_lag weir shown 50"));
}

TEST_F(TransportCausesTest, ARequestToAServerThatHadClosedTheIdleConnection) {
  story.begins().client_sends("q").after(1us).server_sends("r").after(100ms).half_closes(LegName::server).after(50ms);
  story.client_sends("q").after(100us).closes(event::CloseReason::server_reset);
  EXPECT_THAT(told(), ElementsAre("keepalive_race server shown 0"));
  EXPECT_THAT(last.text, HasSubstr("idle for 100ms"));
}

TEST_F(TransportCausesTest, ACrashAFaultAndAServerThatNeverAnsweredAreNoRace) {
  story.begins().client_sends("q").after(1us).server_sends("r").after(50ms).client_sends("q").after(1ms);
  story.half_closes(LegName::server).closes(event::CloseReason::server_reset);
  Story cut = another(2);
  cut.begins().client_sends("q").after(1us).server_sends("r").half_closes(LegName::server, "limit").after(50ms);
  cut.client_sends("q").closes(event::CloseReason::fault);
  Story first = another(3);
  first.begins().after(50ms).half_closes(LegName::server).client_sends("q").closes(event::CloseReason::server_reset);
  EXPECT_EQ(sum("keepalive_race").times, 0u);
}

TEST_F(TransportCausesTest, AKnownConstantIsAHintAndNoVerdict) {
  story.begins();
  for (const auto length : {5001ms, 5004ms, 2000ms}) answered_after(length, [] {});
  EXPECT_TRUE(last.fix.empty());
  answered_after(5003ms, [] {});
  story.closes();
  EXPECT_EQ(last.cause->name, "think");
  EXPECT_THAT(last.fix, HasSubstr("a resolver's timeout"));
  EXPECT_EQ(sum("known_constant").times, 0u);
}

}  // namespace
}  // namespace weir::diagnose
