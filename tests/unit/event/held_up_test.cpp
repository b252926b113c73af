#include "event/held_up.h"

#include <gtest/gtest.h>

#include "event/fanout.h"

namespace weir::event {
namespace {

using std::chrono::seconds;
using Who = HeldUp::Who;

auto second(int count) -> MonoTime { return MonoTime{} + seconds{1000 + count}; }

TEST(HeldUpFigures, CountWhatWaitsAndForHowLongTheRingHasGivenNoRoom) {
  HeldUp held;
  EXPECT_EQ(held.figures(second(0)).waited, seconds{0});
  held.begins(Who::session, second(0));
  held.begins(Who::session, second(2));
  held.begins(Who::listener, second(3));
  const auto now = held.figures(second(4));
  EXPECT_EQ(now.sessions, 2u);
  EXPECT_EQ(now.listeners, 1u);
  EXPECT_EQ(now.since, seconds{4});
  EXPECT_EQ(now.waited, seconds{4 + 2 + 1});
}

TEST(HeldUpFigures, RoomBeginsTheSilenceAnewThoughSomebodyWaitsOn) {
  HeldUp held;
  held.begins(Who::session, second(0));
  held.room_came(second(5));
  EXPECT_EQ(held.figures(second(6)).since, seconds{1});
  EXPECT_EQ(held.figures(second(6)).waited, seconds{6});
}

TEST(HeldUpFigures, WhoBeginsAfterAPauseWaitsFromThenOn) {
  HeldUp held;
  held.begins(Who::session, second(0));
  held.ends(Who::session, second(1));
  EXPECT_EQ(held.figures(second(9)).since, seconds{0});
  held.begins(Who::listener, second(9));
  const auto now = held.figures(second(10));
  EXPECT_EQ(now.since, seconds{1});
  EXPECT_EQ(now.waited, seconds{2});
}

TEST(HeldUpFigures, TheSumNeverFallsThoughTheLoopsTimeIsBehind) {
  HeldUp held;
  held.begins(Who::session, second(0));
  EXPECT_EQ(held.figures(second(5)).waited, seconds{5});
  held.ends(Who::session, second(4));
  EXPECT_EQ(held.figures(second(6)).waited, seconds{5});
}

TEST(HeldUpFigures, EachRingWithoutRoomIsBlamedAndNoOther) {
  Fanout fanout;
  const auto ring = [](std::size_t payload) {
    return EventRing({.mask = static_cast<EventMask>(EventKind::chunk_read), .payload_limit = payload},
                     std::make_shared<ConsumerSignal>());
  };
  EventRing roomy = ring(1 << 20);
  EventRing narrow = ring(1);
  EventRing narrow_too = ring(1);
  for (EventRing* each : {&roomy, &narrow, &narrow_too}) fanout.add(*each);
  SessionEvents events(&fanout, ProxyId{1}, SessionNumber{1});
  events.select(Address());
  BlockPool pool;
  EXPECT_TRUE(events.reserve(Direction::upstream, 1, 1));
  const std::byte byte{1};
  events.push(MonoTime{}, EventKind::chunk_read,
              ChunkRead{pool.copy({&byte, 1}), 0, std::nullopt, Direction::upstream});
  EXPECT_FALSE(events.reserve(Direction::upstream, 1, 1));
  const auto refusers = fanout.take_refusers();
  EXPECT_EQ(refusers, fanout.places_of(narrow) | fanout.places_of(narrow_too));
  EXPECT_EQ(fanout.take_refusers(), 0u);

  fanout.count_held_up(Who::session, 0, refusers, second(0));
  EXPECT_EQ(narrow.held_up().figures(second(1)).sessions, 1u);
  EXPECT_EQ(roomy.held_up().figures(second(1)).sessions, 0u);
  fanout.count_held_up(Who::session, refusers, fanout.places_of(narrow_too), second(1));
  EXPECT_EQ(narrow.held_up().figures(second(1)).sessions, 0u);
  EXPECT_EQ(narrow_too.held_up().figures(second(1)).sessions, 1u);
  for (EventRing* each : {&roomy, &narrow, &narrow_too}) {
    each->publish();
    each->drain([](Event&) {});
  }
}

}  // namespace
}  // namespace weir::event
