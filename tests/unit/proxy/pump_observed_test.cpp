// A watched direction: what observers are told, in which order, and what happens when they are slow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/pump.h"
#include "proxy/relay_world.h"
#include "proxy/stages.h"

namespace weir::proxy::scripted {
namespace {

using event::EventKind;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Observed, TellsWhatWasReadAndWrittenInOrder) {
  World world;
  world.is_watched();
  world.starts();
  world.client.sends("question");
  world.settles();
  world.server.sends("an");
  world.settles();
  world.server.sends("swer");
  world.settles();
  EXPECT_THAT(world.watcher->told(), ElementsAre("up read 0+8 'question'", "up written 8", "down read 0+2 'an'",
                                                 "down written 2", "down read 2+4 'swer'", "down written 6"));
}

TEST(Observed, TellsEachPartOfAWriteThatFallsShort) {
  World world;
  world.is_watched();
  world.starts();
  world.server.send_buffer = 4;
  world.client.sends("123456789");
  world.settles();
  EXPECT_THAT(world.watcher->told(),
              ElementsAre("up read 0+9 '123456789'", "up written 4", "up written 8", "up written 9"));
}

TEST(Observed, StampsEachEventWithTheTimeAfterItsCall) {
  World world;
  world.is_watched();
  world.starts();
  const MonoTime loop_time = world.now();
  world.client.sends("x");
  const auto news = world.client.take_edge();
  world.clock.advance(milliseconds{3});  // the turn is under way: the loop's time is older
  world.relay().on_ready(LegName::client, *news, loop_time);
  world.watcher->reads();
  ASSERT_EQ(world.watcher->events.size(), 2u);
  EXPECT_EQ(world.watcher->events[0].time - loop_time, milliseconds{3});
  EXPECT_EQ(world.watcher->events[1].time - loop_time, milliseconds{3});
  EXPECT_EQ(world.watcher->events[0].proxy, ProxyId{7});
  EXPECT_EQ(world.watcher->events[0].session, SessionNumber{3});
}

TEST(Observed, PassesTheKernelsTimeOnInWhateverOrderItComes) {
  World world;
  world.is_watched();
  world.starts();
  // They come as wall times, and none is told as later than now.
  for (const seconds before : {seconds{1}, seconds{2}, seconds{-9}}) {
    world.client.stamp = world.clock.wall() - before;
    world.client.sends("x");
    world.settles();
  }
  world.client.stamp.reset();
  world.client.sends("x");
  world.settles();
  world.watcher->reads();
  std::vector<std::optional<MonoTime>> told;
  for (const event::Event& event : world.watcher->events) {
    if (const auto* read = std::get_if<event::ChunkRead>(&event.what)) told.push_back(read->kernel_time);
  }
  EXPECT_THAT(told, ElementsAre(world.now() - seconds{1}, world.now() - seconds{2}, world.now(), std::nullopt));
}

TEST(Observed, TellsPrefilledBytesFirst) {
  World world;
  world.is_watched();
  world.client.sends("second");
  world.starts(world.blocks.copy(bytes_of("first")));
  EXPECT_THAT(world.watcher->told(),
              ElementsAre("up read 0+5 'first'", "up written 5", "up read 5+6 'second'", "up written 11"));
}

TEST(Observed, TellsNothingOfADirectionThatNobodyAskedFor) {
  World world;
  world.is_watched({.mask = Watcher::everything, .directions = {false, true}});
  world.starts();
  world.client.sends("question");
  world.settles();
  world.server.sends("answer");
  world.settles();
  EXPECT_THAT(world.watcher->told(), ElementsAre("down read 0+6 'answer'", "down written 6"));
}

TEST(Observed, TellsWritesToOneThatWantsNoReads) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::chunk_written), .directions = {true, false}});
  world.starts();
  world.client.sends("few");
  world.settles();
  EXPECT_THAT(world.watcher->told(), ElementsAre("up written 3"));
  world.client.sends_bulk(MiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing()) << "nobody reads the bytes";
  EXPECT_EQ(world.watcher->told().back(), "up written " + std::to_string(3 + MiB));
}

TEST(Observed, ASplicedDirectionWaitsForRoomForItsWrites) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::chunk_written), .slots = 4});
  world.starts();
  world.client.sends_bulk(8 * MiB);
  world.settles();
  EXPECT_TRUE(world.relay().parked());
  EXPECT_LT(world.client.bytes_read(), 8 * MiB);
  for (int i = 0; world.relay().parked() && i < 1000; ++i) {
    world.watcher->reads();
    world.settles();
  }
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_EQ(world.watcher->told().back(), "up written " + std::to_string(8 * MiB));
}

TEST(Observed, WhoWaitsForTheObserverDoesNotWaitForThePeer) {
  World world;
  world.is_watched({.mask = static_cast<event::EventMask>(EventKind::chunk_written), .slots = 4});
  world.starts();
  world.server.send_buffer = 10;
  world.server.stops_reading();
  world.client.sends("0123456789 and more");
  world.settles();
  ASSERT_TRUE(world.up().blocked_since());
  for (int i = 0; i < 3; ++i) {
    world.server.sends("x");
    world.settles();
  }
  world.server.reads_on();
  world.settles();
  EXPECT_TRUE(world.relay().parked()) << "four writes fill four slots";
  EXPECT_FALSE(world.up().blocked_since()) << "the server takes bytes";
}

TEST(Observed, TellsOnlyTheKindsThatWereAskedFor) {
  World reads, ends;
  reads.is_watched({.mask = static_cast<event::EventMask>(EventKind::chunk_read)});
  ends.is_watched({.mask = static_cast<event::EventMask>(EventKind::half_closed)});
  for (World<>* world : {&reads, &ends}) {
    world->starts();
    world->client.sends("x");
    world->client.sends_fin();
    world->settles();
  }
  EXPECT_THAT(reads.watcher->told(), ElementsAre("up read 0+1 'x'"));
  EXPECT_THAT(ends.watcher->told(), ElementsAre("up half-closed"));
}

TEST(Observed, TellsOfTheFirstFinOnlyWhenItWasPassedOn) {
  World world;
  world.is_watched();
  world.starts();
  world.server.send_buffer = 2;
  world.server.stops_reading();
  world.client.sends("late");
  world.client.sends_fin();
  world.settles();
  EXPECT_THAT(world.watcher->told(), ElementsAre("up read 0+4 'late'", "up written 2"));
  world.watcher->events.clear();
  world.server.reads_on();
  world.settles();
  world.server.sends_fin();
  world.settles();
  EXPECT_THAT(world.watcher->told(), ElementsAre("up written 4", "up half-closed"));
}

TEST(Observed, SharesTheBlockThatWasReadInto) {
  World world;
  world.is_watched();
  world.starts();
  world.server.send_buffer = 10;
  world.server.stops_reading();
  world.client.sends_bulk(30 * KiB);
  world.settles();
  EXPECT_EQ(world.blocks.allocated_bytes(), BlockPool::fill_block_size) << "the tail that is due is no copy";
}

TEST(Observed, IsNotReadWhileTheRingIsFull) {
  World world;
  world.is_watched({.mask = Watcher::everything, .slots = 4});
  world.starts();
  for (int i = 0; i < 5; ++i) {
    world.client.sends("12345");
    world.settles();
  }
  EXPECT_TRUE(world.relay().parked());
  EXPECT_EQ(world.client.bytes_read(), 10u) << "two reads and their writes fill four slots";
  EXPECT_EQ(world.client.unread(), 15u) << "what finds no room stays in the kernel";
  EXPECT_EQ(world.server.got(), "1234512345");

  world.watcher->reads();
  world.settles();
  EXPECT_GE(world.resumes, 1u);
  EXPECT_FALSE(world.relay().parked());
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_EQ(world.watcher->shown(Direction::upstream), world.client.sent());
}

TEST(Observed, IsNotReadWhileThePayloadLimitIsReached) {
  World world;
  world.is_watched({.mask = Watcher::everything, .payload_limit = 256 * KiB});
  world.starts();
  world.client.sends_bulk(4 * MiB);
  world.settles();
  EXPECT_TRUE(world.relay().parked());
  EXPECT_LE(world.client.bytes_read(), 256 * KiB);
  EXPECT_LE(world.blocks.allocated_bytes(), 2 * BlockPool::fill_block_size);
  for (int i = 0; world.client.unread() > 0 && i < 100; ++i) {
    world.watcher->reads();
    world.settles();
  }
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_EQ(world.watcher->shown(Direction::upstream), world.client.sent());
}

TEST(Observed, ParksOnlyTheDirectionWhoseRingIsFull) {
  World world;
  world.is_watched({.mask = Watcher::everything, .directions = {true, false}, .slots = 4});
  world.starts();
  for (int i = 0; i < 5; ++i) {
    world.client.sends("x");
    world.settles();
  }
  ASSERT_TRUE(world.relay().parked());
  world.server.sends_bulk(MiB);
  world.settles();
  EXPECT_EQ(world.client.received(), world.server.sent());
  EXPECT_TRUE(world.relay().parked());
}

TEST(Observed, PassesTheEndOnAfterItWasParked) {
  World world;
  world.is_watched({.mask = Watcher::everything, .slots = 4});
  world.starts();
  for (int i = 0; i < 3; ++i) {
    world.client.sends("x");
    world.settles();
  }
  world.client.sends_fin();
  world.settles();
  EXPECT_FALSE(world.server.fin_passed());
  world.watcher->reads();
  world.settles();
  EXPECT_EQ(world.server.got(), "xxx");
  EXPECT_TRUE(world.server.saw_fin());
}

TEST(Observed, IsReadWhateverTheRingHoldsIfItMayDrop) {
  World world;
  world.is_watched({.policy = event::FullPolicy::drop, .mask = Watcher::everything, .slots = 4});
  world.starts();
  for (int i = 0; i < 50; ++i) {
    world.client.sends("x");
    world.settles();
  }
  EXPECT_EQ(world.server.received(), world.client.sent());
  world.watcher->reads();
  world.client.sends("y");
  world.settles();
  EXPECT_THAT(world.watcher->told(), testing::Contains("gap"));
}

TEST(Observed, IsCopiedAgainWhenItBecomesWatchedWhileItSplices) {
  World world;
  world.is_watched({.mask = 0});
  event::EventRing late({.mask = Watcher::everything}, std::make_shared<event::ConsumerSignal>());
  world.starts();
  world.client.sends_bulk(MiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  world.watcher->fanout.add(late);
  world.relay().events().select(Address());
  world.client.sends("seen");
  world.settles();
  EXPECT_FALSE(world.up().splicing());
  late.publish();
  EXPECT_EQ(late.drain([](event::Event&) {}), 2u);
}

constexpr auto content_with_counts = static_cast<event::EventMask>(EventKind::chunk_read);

TEST(Observed, IsSplicedWhereItsObserverIsContentWithCounts) {
  World world;
  world.is_watched({.mask = content_with_counts});
  world.starts();
  world.client.sends_bulk(8 * MiB);
  world.settles();
  EXPECT_GT(world.client.calls.splices_in, 0u);
  EXPECT_EQ(world.server.received(), world.client.sent());
  world.watcher->reads();
  std::uint64_t counted = 0;
  std::uint64_t uncopied = 0;
  for (const event::Event& event : world.watcher->events) {
    const auto& read = std::get<event::ChunkRead>(event.what);
    EXPECT_EQ(read.offset, counted);
    counted += read.size();
    uncopied += read.uncopied;
  }
  EXPECT_EQ(counted, 8 * MiB);
  EXPECT_GT(uncopied, 4 * MiB);
}

TEST(Observed, IsCopiedForWhoWantsTheBytesBesideOneContentWithCounts) {
  World world;
  world.is_watched({.mask = content_with_counts});
  event::EventRing late({.mask = Watcher::everything}, std::make_shared<event::ConsumerSignal>());
  world.starts();
  world.client.sends_bulk(MiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  world.watcher->reads();
  world.watcher->events.clear();
  world.watcher->fanout.add(late);
  world.relay().events().select(Address());
  world.client.sends("seen");
  world.settles();
  EXPECT_FALSE(world.up().splicing());
  EXPECT_THAT(world.watcher->told(), ElementsAre("up read 1048576+4 'seen'"));
}

TEST(Observed, ASplicedDirectionWaitsForRoomForItsCounts) {
  World world;
  world.is_watched({.mask = content_with_counts, .slots = 4});
  world.starts();
  world.client.sends_bulk(16 * MiB);
  world.settles();
  ASSERT_TRUE(world.relay().parked());
  for (int i = 0; world.relay().parked() && i < 1000; ++i) {
    world.watcher->reads();
    world.settles();
  }
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_THAT(world.watcher->told(), testing::Not(testing::Contains("gap")));
}

TEST(Observed, TellsWhatAStageTookNotWhatItHandsOn) {
  World world;
  world.is_watched();
  world.starts();
  world.has_stage(Direction::upstream, std::make_unique<SliceStage>(2));
  world.client.sends("12345");
  world.settles();
  EXPECT_THAT(world.watcher->told(),
              ElementsAre("up read 0+5 '12345'", "up written 2", "up written 4", "up written 5"));
  EXPECT_EQ(world.server.calls.writes, 3u) << "one emit is one send";
}

TEST(Observed, HasABrokenSinkToldAtOnce) {
  World world;
  world.is_watched();
  world.starts();
  world.edges_are_late[index(LegName::server)] = true;
  world.server.resets();
  world.client.sends("too late");
  world.settles();
  EXPECT_THAT(world.watcher->told(), ElementsAre("up read 0+8 'too late'"));
  EXPECT_EQ(event::to_string(world.relay().cause()), "server.reset");
  EXPECT_EQ(world.relay().totals()[0].undelivered, 8u);
}

}  // namespace
}  // namespace weir::proxy::scripted
