// A pump that copies: what it reads, what it keeps, when it gives way.
#include "proxy/pump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "proxy/allocations.h"
#include "proxy/relay_world.h"

namespace weir::proxy::scripted {
namespace {

using std::chrono::seconds;
using testing::Each;
using testing::ElementsAre;
using testing::Le;

TEST(Pump, PassesARequestAndItsAnswer) {
  World world;
  world.starts();
  world.client.sends("question");
  world.settles();
  EXPECT_EQ(world.server.got(), "question");
  world.server.sends("answer");
  world.settles();
  EXPECT_EQ(world.client.got(), "answer");
}

TEST(Pump, TakesOneReadAndOneWriteForAMessage) {
  World world;
  world.starts();
  for (int i = 0; i < 100; ++i) {
    world.client.sends("a message");
    world.settles();
  }
  EXPECT_EQ(world.client.calls.read_sizes.size(), 100u);
  EXPECT_EQ(world.client.calls.reads_of_nothing, 0u) << "a short read has drained the socket";
  EXPECT_EQ(world.server.calls.writes, 100u);
  EXPECT_EQ(world.server.calls.read_sizes.size(), 0u) << "no edge came there";
  EXPECT_EQ(world.reruns, 0u);
  EXPECT_EQ(world.up().chunks(), 100u);
  EXPECT_EQ(world.up().bytes(), 900u);
}

TEST(Pump, PassesOneByteAtATime) {
  World world;
  world.starts();
  for (const char c : std::string("drip by drip")) {
    world.server.sends(std::string(1, c));
    world.settles();
  }
  EXPECT_EQ(world.client.got(), "drip by drip");
}

TEST(Pump, PassesWhatWasThereBeforeItStarted) {
  World world;
  world.server.sends("220 welcome");
  world.edge_comes(LegName::server, *world.server.take_edge());
  EXPECT_EQ(world.server.calls.read_sizes.size(), 0u) << "only noted";
  world.starts();
  EXPECT_EQ(world.client.got(), "220 welcome");
}

TEST(Pump, SendsPrefilledBytesBeforeAllOthers) {
  World world;
  world.client.sends(" and the rest");
  world.starts(world.blocks.copy(bytes_of("read with the handshake")));
  EXPECT_EQ(world.server.got(), "read with the handshake and the rest");
  EXPECT_EQ(world.relay().totals()[0].bytes, 36u);
  EXPECT_EQ(world.relay().totals()[0].chunks, 2u);
}

TEST(Pump, KeepsTheTailOfAShortSendAndSendsItFirst) {
  World world;
  world.starts();
  world.server.send_buffer = 10;
  world.server.stops_reading();
  world.client.sends("0123456789abcdefghij");
  world.settles();
  EXPECT_EQ(world.up().undelivered(), 10u);
  world.client.sends("klmno");
  world.settles();
  EXPECT_EQ(world.client.unread(), 5u) << "not read while bytes are due";
  world.server.takes(10);
  world.settles();
  EXPECT_EQ(world.server.got(), "0123456789");
  world.server.reads_on();
  world.settles();
  EXPECT_EQ(world.server.got(), "0123456789abcdefghijklmno");
  EXPECT_EQ(world.up().undelivered(), 0u);
}

TEST(Pump, ReadsNothingWhileTheSinkIsFull) {
  World world;
  world.starts();
  world.server.send_buffer = 64 * KiB;
  world.server.stops_reading();
  world.client.sends_bulk(4 * MiB);
  world.settles();
  const auto read = world.client.bytes_read();
  EXPECT_LE(world.up().undelivered(), 64 * KiB);
  EXPECT_LE(read, 128 * KiB);
  for (int i = 0; i < 10; ++i) {
    world.client.sends_bulk(KiB);
    world.settles();
  }
  EXPECT_EQ(world.client.bytes_read(), read) << "each of its edges found bytes due";
  EXPECT_LE(world.blocks.allocated_bytes(), 64 * KiB) << "one read's tail is all that is kept";

  world.server.reads_on();
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
}

TEST(Pump, DeliversAllWhenRoomComesByTheByte) {
  World world;
  world.starts();
  world.server.send_buffer = 100;
  world.server.stops_reading();
  world.client.sends_bulk(5000);
  for (int i = 0; i < 5000; ++i) {
    world.settles();
    world.server.takes(1);
  }
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
}

TEST(Pump, AsksForLessWhenTheSinkTakesLess) {
  World world;
  world.client.splices = false;
  world.starts();
  world.server.send_buffer = 8 * KiB;
  world.client.sends_bulk(MiB);
  world.settles();
  const auto& asked = world.client.calls.read_sizes;
  EXPECT_EQ((std::vector(asked.begin(), asked.begin() + 3)), (std::vector{64 * KiB, 32 * KiB, 16 * KiB}));
  EXPECT_EQ(*std::min_element(asked.begin(), asked.end()), 16 * KiB);
  EXPECT_EQ(world.server.received(), world.client.sent());
}

TEST(Pump, AsksForMoreAfterFourFullReads) {
  World world;
  world.client.splices = false;
  world.starts();
  world.client.sends_bulk(6 * 64 * KiB);
  world.settles();
  EXPECT_THAT(world.client.calls.read_sizes, ElementsAre(64 * KiB, 64 * KiB, 64 * KiB, 64 * KiB, 128 * KiB, 128 * KiB));
  world.client.sends_bulk(20 * 128 * KiB);
  world.settles();
  EXPECT_THAT(world.client.calls.read_sizes, Each(Le(World<>::scratch_size))) << "there is no more scratch";
  EXPECT_EQ(world.server.received(), world.client.sent());
}

TEST(Pump, CountsFullReadsOnlyInARow) {
  World world;
  world.client.splices = false;
  world.starts();
  for (int i = 0; i < 8; ++i) {
    world.client.sends_bulk(2 * 64 * KiB + 1);  // two full, one short
    world.settles();
  }
  EXPECT_THAT(world.client.calls.read_sizes, Each(64 * KiB));
}

TEST(Pump, GivesWayAfterAFewTurns) {
  World world;
  world.client.splices = false;
  world.server.send_buffer = 64 * MiB;
  world.starts();
  world.client.sends_bulk(10 * 64 * KiB);
  world.edge_comes(LegName::client, *world.client.take_edge());
  EXPECT_EQ(world.up().chunks(), 4u) << "then it is the others' turn";
  EXPECT_TRUE(world.relay().wants_rerun());
  world.settles();
  EXPECT_GE(world.reruns, 1u);
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_FALSE(world.relay().wants_rerun());
}

TEST(Pump, AsksToRunAgainForAFinBehindItsLastTurn) {
  World world;
  world.client.splices = false;
  world.starts();
  world.client.sends_bulk(4 * 64 * KiB);
  world.client.sends_fin();
  world.settles();
  EXPECT_TRUE(world.server.saw_fin()) << "no edge of its own comes";
}

TEST(Pump, DoesNotTakeAShortReadAtTheUrgentMarkForAnEmptySocket) {
  World world;
  world.starts();
  world.client.sends("before");
  world.client.sends_urgent('!');
  world.client.sends("after");
  world.settles();
  EXPECT_EQ(world.server.got(), "before!after");
  world.client.sends("before");
  world.client.sends_urgent('!');
  world.settles();
  EXPECT_EQ(world.server.got(), "before!afterbefore!");
}

TEST(Pump, DoesNotTakeAShortReadForAnEmptySocketWhenFinCameWithIt) {
  World world;
  world.starts();
  world.client.sends("bye");
  world.client.sends_fin();
  world.settles();
  EXPECT_EQ(world.server.got(), "bye");
  EXPECT_TRUE(world.server.saw_fin());
}

TEST(Pump, GoesOnAfterANoticeOnAHealthySocket) {
  World world;
  world.starts();
  world.client.raise_notice();
  world.settles();
  EXPECT_EQ(world.client.calls.notices_drained, 1u);
  EXPECT_EQ(world.client.calls.reads_of_nothing, 1u) << "only recv knows whether it is an error";
  world.client.sends("still here");
  world.settles();
  EXPECT_EQ(world.server.got(), "still here");
}

TEST(Pump, ShrugsOffSpuriousEdges) {
  World world;
  world.starts();
  for (int i = 0; i < 100; ++i) {
    world.edge_comes(LegName::client, {.readable = true, .writable = true, .urgent = true});
    world.edge_comes(LegName::server, {.readable = true, .hang_up = true, .notice = true});
    world.settles();
  }
  EXPECT_EQ(world.reruns, 0u);
  EXPECT_EQ(world.relay().phase(), RelayPhase::relaying);
  world.server.sends("data");
  world.settles();
  EXPECT_EQ(world.client.got(), "data");
}

TEST(Pump, EndsTheSessionWhenThereIsNoMemoryForATail) {
  World world;
  world.starts();
  world.server.send_buffer = 10;
  world.server.stops_reading();
  Allocations::fail_nothrow_ones(true);
  world.client.sends("more than ten bytes");
  world.settles();
  Allocations::fail_nothrow_ones(false);
  world.passes(seconds{1});
  EXPECT_EQ(event::to_string(world.relay().cause()), "resources");
  EXPECT_EQ(world.relay().error(), ENOMEM);
  EXPECT_EQ(world.relay().totals()[0].undelivered, 9u);
}

TEST(Pump, EndsTheSessionWhenThereIsNoMemoryForARead) {
  World world;
  world.is_watched();
  world.starts();
  Allocations::fail_nothrow_ones(true);
  world.client.sends("watched");
  world.settles();
  Allocations::fail_nothrow_ones(false);
  EXPECT_EQ(event::to_string(world.relay().cause()), "resources");
  EXPECT_EQ(world.relay().error(), ENOMEM);
  EXPECT_TRUE(world.server.saw_reset());
}

TEST(Pump, OwnsNoHeapWhenIdle) {
  World world;
  world.starts();
  world.client.sends_bulk(4 * MiB);  // by splice, with a pipe
  world.server.send_buffer = 100 * KiB;
  world.settles();
  world.server.sends("answer");
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
  (void)world.blocks.copy(bytes_of("has the pool take back what was returned"));
  EXPECT_LE(world.blocks.allocated_bytes() - world.blocks.cached_bytes(), 4 * KiB) << "no block in use but that one";
  const std::size_t frees = Allocations::frees();
  world.relay_is_destroyed();
  EXPECT_EQ(Allocations::frees(), frees) << "it had nothing to give back";
}

}  // namespace
}  // namespace weir::proxy::scripted
