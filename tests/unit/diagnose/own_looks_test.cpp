// Of peers on other hosts: looks at Weir's own ends, and what other sessions show.
#include "diagnose/looks.h"

namespace weir::diagnose {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

class OwnLooksTest : public LooksTest {};

TEST_F(OwnLooksTest, OfPeersElsewhereWeirsOwnEndsAreLookedAtAndOnlyWhenTimersMayHaveRunOut) {
  is_here = false;
  own_ends[LegName::client] = own_ends[LegName::server] = PeerState{.inode = 9};
  begins().client_sends("q");
  waits(510ms);
  EXPECT_THAT(looked, IsEmpty());
  waits(20ms);
  EXPECT_THAT(looked, ElementsAre(ip("10.0.0.1", 50000), ip("10.0.0.1", 8888)));
  story.server_sends("r");
  waits(1h);
  EXPECT_EQ(looked.size(), 4u) << "an idle session is looked at once more";
  EXPECT_EQ(asked_where, 2) << "where they are is asked once";
  (void)told();
  EXPECT_FALSE(diagnosis.flush_due()) << "and it is not woken for it again";
}

TEST_F(OwnLooksTest, AnIdleSessionOfWhichOnePeerIsElsewhereIsLookedAtTwice) {
  elsewhere = 5432;
  own_ends[LegName::server] = PeerState{.inode = 9};
  begins().client_sends("q").server_sends("r");
  waits(1h);
  EXPECT_THAT(looked, ElementsAre(ip("127.0.0.1", 40000), ip("10.0.0.1", 50000), ip("127.0.0.1", 40000)));
}

TEST_F(OwnLooksTest, FullSegmentsThatVanishWhileAShortOneArrivedAreSeenWhileItLasts) {
  is_here = false;
  PeerState& own = own_ends[LegName::server].emplace(
      PeerState{.send_queue = 4500, .inode = 9, .unacknowledged = 4, .send_mss = 1448, .selectively_acked = 1});
  const auto answered = [&](std::uint8_t backoff) {
    own.backoff = backoff;
    story.client_sends(std::string(4500, 'q'));
    waits(2s);
    story.counts(LegName::server).total_retransmits += 3;
    story.counts(LegName::server).total_timeouts += 3;
    story.server_sends("r").after(1ms);
  };
  story.counts(LegName::server).bytes_received = 1;
  begins();
  answered(2);
  answered(1);
  own.selectively_acked = 0;
  answered(2);
  EXPECT_THAT(told(), ElementsAre("mtu_black_hole path.server shown 2000", "path_gone path.server shown 2000",
                                  "path_gone path.server shown 2000"))
      << "once may be a lost segment and its repetition; and nothing arrives of a path that is gone";
}

TEST_F(OwnLooksTest, ProbesOfAFullWindowThatHaveNoAnswerAreSeenWhileItLasts) {
  is_here = false;
  PeerState& own = own_ends[LegName::server].emplace(PeerState{.timer = 4,
                                                               .send_queue = 4500,
                                                               .inode = 9,
                                                               .unsent_bytes = 4500,
                                                               .send_mss = 1448,
                                                               .backoff = 3,
                                                               .retransmit_timeout = 200ms});
  const auto answered = [&](std::uint8_t probes, Nanos since) {
    own.retransmits = probes, own.timer_left = 1600ms - since;
    story.client_sends(std::string(4500, 'q'));
    waits(2s);
    story.counts(LegName::server).window_limited += 2s;
    story.counts(LegName::server).busy += 2s;
    story.server_sends("r").after(1ms);
  };
  begins();
  answered(2, 300ms);
  answered(1, 300ms);
  answered(2, 10ms);
  own.peer_window = 8192;
  answered(2, 300ms);
  EXPECT_THAT(told(), ElementsAre("window_update_lost path.server shown 2000", "not_reading server shown 2000",
                                  "not_reading server shown 2000", "not_reading server shown 2000"))
      << "one is not answered for its rate alone, and the last may be on its way";
}

TEST_F(OwnLooksTest, AServerThatTakesNothingOfOneConnectionAndAnswersOthersHasNoPlaceForIt) {
  is_here = false;
  std::uint64_t session = 2;
  Story other([this](const event::Event& event) { diagnosis.on_event(event, Nanos{}); }, session);
  other.client = story.client, other.server = story.server;
  const auto retries = [&](Nanos others_are_answered) {
    Story late([this](const event::Event& event) { diagnosis.on_event(event, Nanos{}); }, ++session);
    late.client = story.client, late.server = story.server;
    late.after(other.now() - start);
    late.begins().connected().client_sends("q");
    other.after(others_are_answered).client_sends("q").server_sends("r");
    late.counts(LegName::server).total_retransmits = late.counts(LegName::server).total_timeouts = 3;
    late.after(1500ms).server_sends("r").counters(LegName::client).closes();
    other.after(10s);
  };
  other.begins().connected().client_sends("q").server_sends("r");
  retries(400ms);
  retries(1ms);
  retries(1490ms);
  EXPECT_THAT(told(), ElementsAre("accept_queue_full server shown 1500", "path_gone path.server likely 1500",
                                  "path_gone path.server likely 1500"))
      << "a path may have gone for all behind the second, and come back for all before the third";
}

TEST_F(OwnLooksTest, AndSoHasOneThatDidSoUntilTheClientWent) {
  is_here = false;
  Story other([this](const event::Event& event) { diagnosis.on_event(event, Nanos{}); }, 2);
  other.client = story.client, other.server = story.server;
  story.counts(LegName::server).peer_window = 65'536;
  begins().client_sends("q");
  other.begins().connected().after(1s).client_sends("q").server_sends("r");
  story.counts(LegName::server).unacknowledged = 1, story.counts(LegName::server).backoff = 3;
  story.after(4s).counters(LegName::server).closes();
  EXPECT_THAT(VerdictsTest::told(), ElementsAre("accept_queue_full server shown 4000"));
}

}  // namespace
}  // namespace weir::diagnose
