// What the kernel says of the legs - when bytes were sent, acknowledged and received, and its counters - reaches the
// observers that want it, and is not asked for when nobody does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/duration.h"
#include "proxy/relay_world.h"
#include "proxy/stages.h"

namespace weir::proxy::scripted {
namespace {

using event::EventKind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using What = TransmitStamp::What;

TEST(Evidence, StampsAreToldOfTheDirectionWhoseBytesTheLegTakes) {
  World world;
  world.is_watched({.mask = EventKind::sent | EventKind::acknowledged});
  world.starts();
  world.client.sends("question");
  world.settles();
  world.server.stamps(What::sent, 8, world.clock.wall());
  world.server.stamps(What::acknowledged, 8, world.clock.wall());
  world.client.stamps(What::sent, 0, world.clock.wall());
  world.settles();
  EXPECT_THAT(world.watcher->told(), testing::UnorderedElementsAre("up sent 8", "up acknowledged 8", "down sent 0"));
}

TEST(Evidence, ItsTimeIsTheKernels) {
  World world;
  world.is_watched({.mask = EventKind::sent | EventKind::acknowledged});
  world.starts();
  const WallTime stamped = world.clock.wall();
  const MonoTime then = world.now();
  world.passes(milliseconds{7});
  world.server.stamps(What::sent, 1, stamped);
  world.server.stamps(What::acknowledged, 1, world.clock.wall() + seconds{1});  // the wall clock was put back
  world.settles();
  world.watcher->reads();
  ASSERT_EQ(world.watcher->events.size(), 2u);
  EXPECT_EQ(world.watcher->events[0].time, then);
  EXPECT_EQ(world.watcher->events[1].time, world.now()) << "never later than now";
}

TEST(Evidence, OnlyTheKindsAndDirectionsThatAreWantedAreAskedForAndTold) {
  World world;
  world.is_watched({.mask = EventKind::acknowledged | EventKind::half_closed, .directions = {true, false}});
  world.starts();
  EXPECT_EQ(world.server.stamps_wanted, (StampWishes{.acknowledged = true}));
  EXPECT_EQ(world.client.stamps_wanted, StampWishes{});
  world.server.stamps(What::sent, 3, world.clock.wall());
  world.server.stamps(What::acknowledged, 3, world.clock.wall());
  world.client.stamps(What::acknowledged, 3, world.clock.wall());
  world.settles();
  EXPECT_THAT(world.watcher->told(), ElementsAre("up acknowledged 3"));
}

TEST(Evidence, ReceiveTimesAreAskedForWhereReadsAreWatched) {
  World world;
  world.is_watched({.mask = EventKind::chunk_read | EventKind::receive_times, .directions = {true, false}});
  world.starts();
  EXPECT_EQ(world.client.stamps_wanted, (StampWishes{.received = true}));
  EXPECT_EQ(world.server.stamps_wanted, StampWishes{});
}

TEST(Evidence, ReceiveTimesAloneAskForNothing) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::receive_times)});
  world.starts();
  EXPECT_FALSE(world.client.stamps_wanted.any());
  EXPECT_FALSE(world.server.stamps_wanted.any());
}

TEST(Evidence, AnObserverThatComesLateIsToldFromTheBytesThatAreWrittenThen) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::half_closed)});
  world.starts();
  world.client.sends("question");
  world.server.sends("an answer");
  world.settles();
  EXPECT_FALSE(world.server.stamps_wanted.any());
  event::EventRing late({.mask = EventKind::sent | EventKind::acknowledged}, std::make_shared<event::ConsumerSignal>());
  world.watcher->fanout.add(late);
  world.relay().events().select(Address());
  world.relay().observers_changed();
  EXPECT_TRUE(world.server.stamps_wanted.sent && world.client.stamps_wanted.acknowledged);
  EXPECT_EQ(world.server.stamps_count_from, 8u);
  EXPECT_EQ(world.client.stamps_count_from, 9u);
  world.watcher->fanout.remove(late);
  world.relay().events().select(Address());
  world.relay().observers_changed();
  EXPECT_FALSE(world.server.stamps_wanted.any());
  EXPECT_FALSE(world.client.stamps_wanted.any());
}

TEST(Evidence, ManyStampsAreTakenInTurnsAndTheSessionGoesOn) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::acknowledged)});
  world.starts();
  constexpr std::uint64_t many = 3000;
  for (std::uint64_t end = 1; end <= many; ++end) world.server.stamps(What::acknowledged, end, world.clock.wall());
  world.settles();
  world.watcher->reads();
  EXPECT_EQ(world.watcher->events.size(), many);
  EXPECT_EQ(world.server.calls.notices_drained, many / std::tuple_size_v<TransmitStamps> + 1);
  EXPECT_EQ(world.relay().watchdog_trips(), 0u) << "they are progress";
  world.client.sends("still here");
  world.settles();
  EXPECT_EQ(world.server.got(), "still here");
}

TEST(Evidence, AResetBehindAStampIsFound) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::acknowledged)});
  world.starts();
  world.client.sends("question");
  world.settles();
  world.server.stamps(What::acknowledged, 8, world.clock.wall());
  world.server.resets();
  world.passes(seconds{2});
  EXPECT_EQ(event::to_string(world.relay().cause()), "server.reset");
  EXPECT_THAT(world.watcher->told(), ElementsAre("up acknowledged 8"));
}

TEST(Evidence, WhatTheErrorQueueHoldsAtTheEndIsToldBeforeTheSocketIsClosed) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::acknowledged)});
  world.starts();
  world.edges_are_late = {true, true};
  for (std::uint64_t end = 1; end <= 100; ++end) world.server.stamps(What::acknowledged, end, world.clock.wall());
  world.relay().end({}, false, world.now());
  const auto told = world.watcher->told();
  ASSERT_EQ(told.size(), 100u);
  EXPECT_EQ(told.back(), "up acknowledged 100");
}

TEST(Evidence, CountersComeWhenOpenedBehindASilenceAndBeforeTheClose) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::leg_counters)});
  world.starts();
  world.clock.advance(event::told_after_silence);
  world.client.sends("x");
  world.settles();
  world.relay().end({}, false, world.now());
  EXPECT_THAT(world.watcher->told(),
              ElementsAre("client counters at opened", "server counters at opened", "client counters at moved",
                          "server counters at moved", "client counters at close", "server counters at close"));
  const auto& read = std::get<std::shared_ptr<const event::LegCounters>>(world.watcher->events[2].what);
  EXPECT_EQ(read->bytes_received, 1u);
}

TEST(Evidence, CountersComeOfWritesThatWaitedToo) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::leg_counters)});
  world.starts();
  world.watcher->reads();
  world.watcher->events.clear();
  world.server.send_buffer = 4;
  world.server.stops_reading();
  world.client.sends("123456");
  world.settles();
  EXPECT_THAT(world.watcher->told(), IsEmpty()) << "bytes moved without a silence";
  world.clock.advance(event::told_after_silence);
  world.server.reads_on();
  world.settles();
  EXPECT_THAT(world.watcher->told(), ElementsAre("client counters at moved", "server counters at moved"));
}

TEST(Evidence, CountersComeNowAndThenWhileBytesMove) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::leg_counters)});
  world.starts();
  world.watcher->reads();
  world.watcher->events.clear();
  constexpr auto step = event::told_after_silence / 2;
  for (Nanos time{0}; time < event::told_while_moving; time += step) {
    EXPECT_THAT(world.watcher->told(), IsEmpty()) << format_duration(time);
    world.clock.advance(step);
    world.client.sends("x");
    world.settles();
  }
  EXPECT_THAT(world.watcher->told(), ElementsAre("client counters at moved", "server counters at moved"));
}

TEST(Evidence, ALoopAsksForCountersAsOftenAsItsBudgetPermits) {
  ProbeBudget budget;
  const MonoTime now{seconds{1000}};
  for (int i = 0; i < ProbeBudget::burst; ++i) EXPECT_TRUE(budget.take(now)) << i;
  EXPECT_FALSE(budget.take(now));
  EXPECT_TRUE(budget.take(now + ProbeBudget::interval));
  EXPECT_FALSE(budget.take(now + ProbeBudget::interval));
  EXPECT_TRUE(budget.take(now + seconds{3600}));
}

TEST(Evidence, CountersComeOfSplicedBytesAndSpliceGoesOn) {
  World world;
  world.is_watched({.mask = EventKind::leg_counters | EventKind::acknowledged});
  world.starts();
  for (int i = 0; i < 3; ++i) {
    world.client.sends_bulk(128 * KiB);
    world.settles();
  }
  ASSERT_TRUE(world.up().splicing());
  world.watcher->reads();
  world.watcher->events.clear();
  world.clock.advance(event::told_after_silence);
  world.client.sends_bulk(64 * KiB);
  world.settles();
  EXPECT_TRUE(world.up().splicing());
  EXPECT_THAT(world.watcher->told(), ElementsAre("client counters at moved", "server counters at moved"));
}

TEST(Evidence, CountersComeWhenAskedForToThoseThatWantThem) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::leg_counters)});
  world.server.has_counters = false;  // a Unix socket
  world.relay().tell_counters(event::ProbePoint::asked);
  EXPECT_THAT(world.watcher->told(), IsEmpty()) << "nothing flows yet";
  world.starts();
  world.relay().tell_counters(event::ProbePoint::asked);
  EXPECT_THAT(world.watcher->told(), ElementsAre("client counters at opened", "client counters at asked"));
}

TEST(Evidence, NothingIsAskedOfTheKernelWhenNobodyWantsIt) {
  World world;
  world.is_watched();
  world.starts();
  world.client.sends("x");
  world.settles();
  world.relay().tell_counters(event::ProbePoint::asked);
  world.client.stamps(What::sent, 1, world.clock.wall());
  world.settles();
  world.relay().end({}, false, world.now());
  EXPECT_EQ(world.client.calls.counters_asked + world.server.calls.counters_asked, 0u);
  EXPECT_FALSE(world.client.stamps_wanted.any() || world.server.stamps_wanted.any());
  EXPECT_THAT(world.watcher->told(), ElementsAre("up read 0+1 'x'", "up written 1"));
}

}  // namespace
}  // namespace weir::proxy::scripted
