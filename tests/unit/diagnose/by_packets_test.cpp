#include "diagnose/told.h"

namespace weir::diagnose {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

class ByPacketsTest : public VerdictsTest {
 protected:
  // A request of 100 bytes, and 50 more behind a wait that ended with them.
  void second_piece(Nanos ack_took, Nanos left_after, Nanos client_round_trip = {}) {
    event::PacketEvidence packets{.direction = Direction::upstream, .answers = true, .acknowledged = true};
    packets.ack_took = ack_took;
    packets.left_after = left_after;
    packets.round_trip = {client_round_trip, Nanos{}};
    story.client_sends(std::string(100, 'a')).after(ack_took + left_after).packets(packets);
    story.client_sends(std::string(50, 'b')).server_sends("r");
  }

  Diagnosis diagnosis{{.server = {}, .exchanges = {}, .on_verdict = note(), .patterns = false}};
  Story story{[this](const event::Event& event) { diagnosis.on_event(event, Nanos{}); }};
};

TEST_F(ByPacketsTest, ASecondPieceThatLeavesWithTheDelayedAckIsProven) {
  story.begins();
  second_piece(40ms, 17us);
  EXPECT_THAT(told(), ElementsAre("split_write client proven 40"));
  EXPECT_EQ(last.who, "client 10.0.0.7");
  EXPECT_EQ(last.towards, "10.0.0.9:5432");
}

TEST_F(ByPacketsTest, FromAfarTheRoundTripIsTakenOff) {
  story.begins();
  second_piece(41ms, 20ms);
  EXPECT_THAT(told(), ElementsAre("unknown client likely 61"));
  second_piece(41ms, 20ms, 20ms);
  EXPECT_THAT(told(), ElementsAre("split_write client proven 61"));
}

TEST_F(ByPacketsTest, AnAckThatIsNotDelayedHoldsAPieceForARoundTrip) {
  story.begins();
  second_piece(20ms, 20us);
  EXPECT_THAT(told(), ElementsAre("split_write client shown 20"));
  second_piece(3ms, 20us);
  EXPECT_THAT(told(), ElementsAre("unknown client likely 3")) << "that short, it may be chance";
}

TEST_F(ByPacketsTest, APieceThatLeftWithoutTheAckDidNotWait) {
  story.begins();
  story.client_sends("a").after(40ms).packets({.direction = Direction::upstream, .answers = true}).client_sends("b");
  story.server_sends("r");
  EXPECT_THAT(told(), ElementsAre("unknown client likely 40"));
  story.client_sends("a").after(40ms).packets({.direction = Direction::upstream, .answers = false}).client_sends("b");
  story.server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("split_write client likely 40")) << "only one direction was captured";
}

TEST_F(ByPacketsTest, ARequestThatCameAgainWasLostBehindTheCapture) {
  story.begins();
  event::PacketEvidence packets{.direction = Direction::downstream, .answers = true};
  packets.again = {1, 0};
  packets.again_after = {203ms, 0ms};
  story.client_sends("q").after(224ms).packets(packets).server_sends("r").counters(LegName::client);
  EXPECT_THAT(told(), ElementsAre("loss path.server proven 224"));
  packets.again_after = {20ms, 0ms};
  story.client_sends("q").after(224ms).packets(packets).server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("think server likely 224")) << "most of it came after that";
}

TEST_F(ByPacketsTest, ARequestThatCameAgainAndHadArrivedLostItsAnswer) {
  story.begins();
  event::PacketEvidence packets{.direction = Direction::downstream, .answers = true};
  packets.again = {1, 0};
  packets.again_after = {203ms, 0ms};
  packets.twice = {1, 0};
  story.client_sends("q").after(224ms).packets(packets).server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("reply_lost path.server proven 224"));
}

TEST_F(ByPacketsTest, BytesBehindAHoleWaited) {
  story.begins();
  event::PacketEvidence packets{.direction = Direction::downstream, .answers = true};
  packets.waited_behind_hole = 1460;
  story.client_sends("q").after(41ms).packets(packets).server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("peer_loss path.server proven 41"));
}

TEST_F(ByPacketsTest, AWindowOfZeroIsWhoDoesNotRead) {
  story.begins();
  event::PacketEvidence packets{.direction = Direction::downstream, .answers = true};
  packets.window_closed = {200ms, 0ms};
  story.client_sends("q").server_sends("r").after(300ms).packets(packets).server_sends("s").counters(LegName::client);
  EXPECT_THAT(told(), ElementsAre("not_reading client proven 300"));
  packets.window_closed = {100ms, 0ms};
  story.after(300ms).packets(packets).server_sends("s").closes();
  EXPECT_THAT(told(), ElementsAre("unknown server likely 300"));
}

TEST_F(ByPacketsTest, ConnectionRequestsAreCounted) {
  event::PacketEvidence packets{.direction = Direction::upstream};
  packets.connects = 2;
  packets.accepts = 1;
  story.accepted().after(1s).packets(packets).tried(0, 1s).opened().closes();
  EXPECT_THAT(told(), ElementsAre("syn_lost path.server proven 1000"));
}

}  // namespace
}  // namespace weir::diagnose
