#include "diagnose/told.h"

namespace weir::diagnose {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(CausesTest, EveryCauseIsDescribed) {
  for (const CauseInfo* cause : causes()) {
    EXPECT_FALSE(cause->doc.empty() || cause->signals.empty()) << cause->name;
    EXPECT_TRUE(cause->judge != nullptr || cause->judge_unanswered != nullptr || cause->judge_exchange != nullptr ||
                cause->judge_session != nullptr)
        << cause->name;
    EXPECT_EQ(find_cause(cause->name), cause);
  }
  EXPECT_EQ(find_cause("gremlins"), nullptr);
}

TEST_F(CausesTest, ARequestInTwoPiecesThatWaitsForADelayedAckIsASplitWrite) {
  story.begins();
  story.client_sends(std::string(128, 'a'))
      .after(41ms)
      .client_sends(std::string(168, 'b'))
      .after(300us)
      .server_sends("r");
  story.closes();
  EXPECT_THAT(told(), ElementsAre("split_write client likely 41"));
  EXPECT_EQ(last.who, "client 10.0.0.7");
  EXPECT_EQ(last.evidence.front().value, 128);
}

TEST_F(CausesTest, AResponseInTwoPiecesIsTheServers) {
  story.begins();
  story.client_sends("q").after(100us).server_sends("1").after(203ms).server_sends("2");
  story.closes();
  EXPECT_THAT(told(), ElementsAre("split_write server likely 203"));
}

TEST_F(CausesTest, ADripAFullSegmentAndAnotherLengthAreNoSplitWrite) {
  story.begins();
  story.counts(LegName::client).receive_mss = 1448;
  story.client_sends("a").after(20ms).client_sends("b").after(70ms).client_sends(std::string(1448, 'c'));
  story.after(41ms).client_sends("d").after(10us).server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("unknown client likely 20", "unknown client likely 70", "unknown client likely 41"));
}

TEST_F(CausesTest, AFaultOfOursIsToldFirst) {
  story.begins().fault("slow");
  story.client_sends("q", {}, 100ms).after(1us).server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("fault weir shown 100"));
  EXPECT_THAT(last.text, testing::HasSubstr("slow"));
}

TEST_F(CausesTest, BytesThatWereReadOrPassedOnLateAreOurOwnLag) {
  story.begins();
  story.client_sends("q", 20ms).after(1us).server_sends("r", {}, 5ms).closes();
  EXPECT_THAT(told(), ElementsAre("own_lag weir shown 20", "own_lag weir shown 5"));
}

TEST_F(CausesTest, BytesThatLayBehindAHoleAreThePaths) {
  story.begins();
  ++story.counts(LegName::client).out_of_order_in;
  story.client_sends("q", 28ms).after(1us).server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("peer_loss path.client shown 28"));
}

TEST_F(CausesTest, AClientWhoseWindowIsFullDoesNotRead) {
  story.begins();
  story.client_sends("q").after(1us);
  story.tell(event::ChunkRead{{}, 0, std::nullopt, Direction::downstream});
  story.after(150ms).tell(event::ChunkWritten{1, Direction::downstream});
  story.counts(LegName::client).window_limited = 140ms;
  story.counters(LegName::client).closes();
  EXPECT_THAT(told(), ElementsAre("not_reading client shown 150"));
}

TEST_F(CausesTest, AWriteThatWaitedIsJudgedByWhatIsCountedBehindTheReadThatFollowsIt) {
  story.begins();
  story.client_sends("q").after(1us);
  story.tell(event::ChunkRead{{}, 0, std::nullopt, Direction::downstream});
  story.after(150ms).tell(event::ChunkWritten{1, Direction::downstream});
  story.after(100us).tell(event::ChunkRead{{}, 1, std::nullopt, Direction::downstream});
  story.tell(event::ChunkWritten{2, Direction::downstream});
  story.counts(LegName::client).window_limited = 140ms;
  story.counters(LegName::client).counters(LegName::server).closes();
  EXPECT_THAT(told(), ElementsAre("not_reading client shown 150"));
}

TEST_F(CausesTest, ARequestThatWasSentAgainWasLost) {
  story.begins();
  story.client_sends("q").after(224ms);
  story.counts(LegName::server).total_retransmits = 1;
  story.server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("loss path.server shown 224"));
}

TEST_F(CausesTest, AServerThatTakesItsTimeThinks) {
  story.begins();
  story.client_sends("q").after(30ms).server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("think server likely 30"));
}

TEST_F(CausesTest, ThinkingOfADelayedAcksLengthIsNoSplitWrite) {
  story.begins();
  for (const auto length : {40ms, 200ms}) story.client_sends("q").after(length).server_sends("r");
  story.closes();
  EXPECT_THAT(told(), ElementsAre("think server likely 40", "think server likely 200"));
}

TEST_F(CausesTest, WhyAConnectionTookItsTime) {
  story.accepted().resolved("db", 5s).after(5s).tried(0, 1ms).after(1ms).opened();
  EXPECT_THAT(told(), IsEmpty()) << "what the kernel counted comes behind it";
  story.counters(LegName::server).closes();
  EXPECT_THAT(told(), ElementsAre("name_lookup path.server shown 5001"));
}

TEST_F(CausesTest, AConnectionRequestThatWasDroppedIsSentAgainAfterASecond) {
  // The legs' addresses come before their counters.
  story.accepted().after(1012ms).tried(0, 1012ms).opened().connected();
  story.counts(LegName::server).total_retransmits = 1;
  story.counters(LegName::server).closes();
  EXPECT_THAT(told(), ElementsAre("syn_lost path.server shown 1012"));
}

TEST_F(CausesTest, ARefusalIsTheServers) {
  story.accepted().after(2ms).tried(ECONNREFUSED, 2ms).closes(event::CloseReason::connect_refused);
  EXPECT_THAT(told(), ElementsAre("refused server proven 2"));
}

TEST_F(CausesTest, ARefusalIsToldHoweverSoonItCame) {
  story.accepted().after(100us).tried(ECONNREFUSED, 80us).closes(event::CloseReason::connect_refused);
  EXPECT_THAT(told(), ElementsAre("refused server proven 0"));
}

TEST_F(CausesTest, ANameThatIsNotKnownIsToldHoweverSoonThatWasKnown) {
  story.accepted().after(50us).not_resolved("db", "no such name").closes(event::CloseReason::resolve_failed);
  EXPECT_THAT(told(), ElementsAre("name_lookup path.server shown 0"));
  EXPECT_THAT(last.text, testing::HasSubstr("no such name"));
}

TEST_F(CausesTest, ASlowConnectionThatNothingExplainsIsUnknown) {
  story.accepted().after(300ms).tried(0, 300ms).opened().closes();
  EXPECT_THAT(told(), ElementsAre("unknown path.server likely 300"));
}

}  // namespace
}  // namespace weir::diagnose
