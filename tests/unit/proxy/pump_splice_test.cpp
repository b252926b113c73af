// A pump that splices: when it begins and ends to, and what EAGAIN means with a pipe in between.
#include <gtest/gtest.h>

#include "proxy/pump.h"
#include "proxy/relay_world.h"
#include "proxy/stages.h"

namespace weir::proxy::scripted {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Splice, TakesOverAfterTwoFullReads) {
  World world;
  world.starts();
  world.client.sends_bulk(4 * MiB);
  world.settles();
  EXPECT_EQ(world.client.calls.read_sizes, (std::vector{64 * KiB, 64 * KiB}));
  EXPECT_GT(world.client.calls.splices_in, 0u);
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_EQ(world.up().bytes(), 4 * MiB);
  EXPECT_EQ(world.up().undelivered(), 0u);
}

TEST(Splice, DoesNotTakeOverAfterOneFullRead) {
  World world;
  world.starts();
  for (int i = 0; i < 5; ++i) {
    world.client.sends_bulk(64 * KiB + 100);
    world.settles();
  }
  EXPECT_EQ(world.client.calls.splices_in, 0u);
}

TEST(Splice, DoesNotTakeOverWhatIsReadInSmallPieces) {
  World world;
  world.server.send_buffer = 8 * KiB;
  world.starts();
  world.server.stops_reading();
  world.client.sends_bulk(20 * KiB);  // a short send: from now on reads are of 32 KiB
  world.settles();
  world.server.reads_on();
  world.server.send_buffer = MiB;
  world.client.sends_bulk(3 * 32 * KiB);
  world.settles();
  EXPECT_EQ(world.client.calls.splices_in, 0u) << "full reads, but below 64 KiB";
}

TEST(Splice, IsNotForEndsThatCannot) {
  World client_cannot, server_cannot;
  client_cannot.client.splices = false;
  server_cannot.server.splices = false;
  for (World<>* world : {&client_cannot, &server_cannot}) {
    world->starts();
    world->client.sends_bulk(MiB);
    world->settles();
    EXPECT_EQ(world->client.calls.splices_in, 0u);
    EXPECT_EQ(world->server.received(), world->client.sent());
  }
}

TEST(Splice, IsNotForWatchedDirections) {
  World world;
  world.is_watched({.mask = Watcher::everything, .directions = {true, false}});
  world.starts();
  world.client.sends_bulk(MiB);
  world.server.sends_bulk(MiB);
  world.settles();
  EXPECT_EQ(world.client.calls.splices_in, 0u);
  EXPECT_GT(world.server.calls.splices_in, 0u) << "nobody reads the other one";
}

TEST(Splice, TakesEagainWithAnEmptyPipeForAnEmptySocket) {
  World world;
  world.starts();
  world.client.sends_bulk(MiB);
  world.settles();
  EXPECT_TRUE(world.up().splicing());
  EXPECT_EQ(world.client.calls.reads_of_nothing, 2u) << "one with bytes in the pipe, which says nothing";
  world.client.sends_bulk(MiB);
  world.settles();
  EXPECT_EQ(world.client.calls.reads_of_nothing, 3u) << "now the pipe was full";
  EXPECT_EQ(world.server.received(), world.client.sent());
}

TEST(Splice, OwnsNoPipeWhileItWaits) {
  World one;
  one.starts();
  const int made = ScriptedPipe::made;
  for (int i = 0; i < 10; ++i) {
    one.client.sends_bulk(MiB);
    one.server.sends_bulk(MiB);
    one.settles();
    EXPECT_TRUE(one.up().splicing() && one.down().splicing());
  }
  EXPECT_LE(ScriptedPipe::made - made, 2) << "taken from the pool and given back";
}

// sozu#1323: there the tail hung, as the full pipe's EAGAIN was taken for an empty socket.
TEST(Splice, SurvivesAPipeThatRunsOutOfSlots) {
  World world;
  world.starts();
  ScriptedPipe::rules.segment = 1448;
  world.client.sends_bulk(2 * MiB);
  world.settles();
  EXPECT_GT(world.client.calls.splices_in, 80u) << "23 KiB a time";
  EXPECT_EQ(world.server.received(), world.client.sent());
}

TEST(Splice, TakesEagainOfAMoveOutForTheSinks) {
  World world;
  world.starts();
  world.client.sends_bulk(300 * KiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  world.server.send_buffer = 100 * KiB;
  world.server.stops_reading();
  world.client.sends_bulk(MiB);
  world.settles();
  EXPECT_TRUE(world.up().blocked_since());
  EXPECT_GT(world.up().undelivered(), 0u) << "bytes in the pipe";
  const unsigned moves = world.client.calls.splices_in;
  world.client.spurious_edge();
  world.settles();
  EXPECT_EQ(world.client.calls.splices_in, moves) << "no move in while the pipe holds bytes";
  world.server.reads_on();
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent()) << "with no further edge from the client";
}

TEST(Splice, AsksAgainAfterAPartialMoveOut) {
  World world;
  world.starts();
  ScriptedPipe::rules.most_per_move_out = 1000;
  world.client.sends_bulk(512 * KiB);
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent()) << "a partial move raises no edge";
}

TEST(Splice, IsGivenUpAfterEightSmallMoves) {
  World world;
  world.starts();
  world.client.sends_bulk(MiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  world.client.calls.read_sizes.clear();
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(world.up().splicing());
    world.client.sends("small");
    world.settles();
  }
  EXPECT_FALSE(world.up().splicing());
  world.client.sends("read again");
  world.settles();
  EXPECT_FALSE(world.client.calls.read_sizes.empty());
  EXPECT_EQ(world.server.received(), world.client.sent());
}

TEST(Splice, IsNotGivenUpForSevenSmallMovesAndALargeOne) {
  World world;
  world.starts();
  world.client.sends_bulk(MiB);
  world.settles();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 7; ++i) {
      world.client.sends_bulk(16 * KiB - 1);
      world.settles();
    }
    world.client.sends_bulk(16 * KiB);
    world.settles();
  }
  EXPECT_TRUE(world.up().splicing());
}

TEST(Splice, BeginsAnewAfterItWasGivenUp) {
  World world;
  world.starts();
  world.client.sends_bulk(MiB);
  world.settles();
  for (int i = 0; i < 9; ++i) {
    world.client.sends("small");
    world.settles();
  }
  ASSERT_FALSE(world.up().splicing());
  world.client.sends_bulk(MiB);
  world.settles();
  EXPECT_TRUE(world.up().splicing());
  EXPECT_EQ(world.server.received(), world.client.sent());
}

TEST(Splice, CopiesWhenNoPipeIsToBeHad) {
  World world;
  world.starts();
  ScriptedPipe::rules.to_be_had = 0;
  world.client.sends_bulk(2 * MiB);
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_EQ(world.client.calls.splices_in, 0u);
  ScriptedPipe::rules.to_be_had = 1;
  world.client.sends_bulk(MiB);
  world.settles();
  EXPECT_GT(world.client.calls.splices_in, 0u) << "tried again when there is one";
}

TEST(Splice, CopiesForEverAfterEinval) {
  World world;
  world.starts();
  world.client.sends_bulk(128 * KiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  world.client.fail_reads.push_back(EINVAL);
  world.client.sends_bulk(4 * MiB);
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_EQ(world.client.calls.splices_in, 2u) << "one that found nothing, one that was refused";
  EXPECT_EQ(world.relay().phase(), RelayPhase::relaying) << "EINVAL is no broken leg";
}

TEST(Splice, EndsWithFinAfterTheBytesInThePipe) {
  World world;
  world.starts();
  world.client.sends_bulk(300 * KiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  world.server.send_buffer = 100 * KiB;
  world.server.stops_reading();
  world.client.sends_bulk(300 * KiB);
  world.client.sends_fin();
  world.settles();
  EXPECT_FALSE(world.server.fin_passed());
  world.server.reads_on();
  world.settles();
  EXPECT_TRUE(world.server.saw_fin());
  EXPECT_EQ(world.server.received(), world.client.sent());
}

// splice(2) stops at the mark for ever; only a read passes it.
TEST(Splice, GetsPastUrgentData) {
  World world;
  world.starts();
  world.client.sends_bulk(MiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  world.client.sends_bulk(MiB);
  world.client.sends_urgent('!');
  world.client.sends_bulk(MiB);
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
  const unsigned moves = world.client.calls.splices_in;
  world.client.sends_bulk(MiB);
  world.settles();
  EXPECT_GT(world.client.calls.splices_in, moves) << "it goes on behind the mark";
}

TEST(Splice, NeverPoolsAPipeThatHoldsBytes) {
  PipePool<ScriptedPipe> pool;
  const int alive = ScriptedPipe::alive;
  {
    World world;
    world.starts();
    world.client.sends_bulk(300 * KiB);
    world.settles();
    ASSERT_TRUE(world.up().splicing());
    world.server.send_buffer = 100 * KiB;
    world.server.stops_reading();
    world.client.sends_bulk(MiB);
    world.settles();
    ASSERT_GT(world.up().undelivered(), 0u);
    world.server.resets();
    world.settles();
    ASSERT_TRUE(world.closed());
    EXPECT_EQ(ScriptedPipe::alive, alive) << "closed with what it held, not kept for another session";
    EXPECT_GT(world.relay().totals()[0].undelivered, 0u);
    EXPECT_EQ(world.relay().totals()[0].bytes - world.relay().totals()[0].undelivered, world.server.bytes_written());
  }
  auto pipe = pool.take();
  Socket socket;
  socket.sends("left behind");
  EXPECT_EQ(socket.splice_in(*pipe, 100).bytes, 11u);
  pool.give(std::move(pipe));
  EXPECT_EQ(ScriptedPipe::alive, alive);
  EXPECT_EQ(pool.take()->bytes(), 0u);
}

TEST(Splice, KeepsNoMorePipesThanItSays) {
  PipePool<ScriptedPipe> pool;
  const int alive = ScriptedPipe::alive;
  std::vector<std::unique_ptr<ScriptedPipe>> taken;
  for (int i = 0; i < 100; ++i) taken.push_back(pool.take());
  for (auto& pipe : taken) pool.give(std::move(pipe));
  EXPECT_EQ(ScriptedPipe::alive - alive, static_cast<int>(pool.most_idle));
}

TEST(Splice, FillsThePipeBeforeItMovesOut) {
  World world;
  world.server.send_buffer = MiB;
  world.starts();
  world.client.sends_bulk(300 * KiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  // Four segments come while it moves: each is there by the next move in.
  int more = 3;
  world.client.before_read = [&] {
    if (more-- > 0) world.client.sends_bulk(128 * KiB);
  };
  const unsigned out = world.server.calls.splices_out;
  const std::uint64_t chunks = world.up().chunks();
  world.client.sends_bulk(128 * KiB);
  world.settles();
  world.client.before_read = nullptr;
  EXPECT_EQ(world.server.calls.splices_out, out + 1);
  EXPECT_EQ(world.up().chunks(), chunks + 1);
  EXPECT_EQ(world.server.received(), world.client.sent());
}

// The kernel tells it once, to whichever call comes first.
TEST(Splice, KeepsAResetThatALaterMoveInFinds) {
  World world;
  world.starts();
  world.client.sends_bulk(300 * KiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  int moves = 0;
  world.client.before_read = [&] {
    if (++moves == 2) world.client.resets();
  };
  world.client.sends_bulk(128 * KiB);
  world.passes(milliseconds{1});
  world.client.before_read = nullptr;
  EXPECT_EQ(world.server.received(), world.client.sent()) << "what was in the pipe goes out first";
  EXPECT_EQ(event::to_string(world.relay().cause()), "client.reset");
  EXPECT_TRUE(world.server.saw_reset());
  EXPECT_FALSE(world.server.saw_fin());
}

TEST(Splice, AFinThatALaterMoveInFindsIsFoundAgain) {
  World world;
  world.starts();
  world.client.sends_bulk(300 * KiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  world.client.sends_bulk(128 * KiB);
  world.client.sends_fin();
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_TRUE(world.server.saw_fin());
}

TEST(Splice, PassesOnAResetThatTheMoveInFinds) {
  World world;
  world.starts();
  world.client.sends_bulk(MiB);
  world.settles();
  world.client.sends_bulk(MiB);
  world.client.resets();
  world.passes(milliseconds{1});
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_EQ(event::to_string(world.relay().cause()), "client.reset");
  EXPECT_TRUE(world.server.saw_reset());
}

TEST(Splice, PassesOnAResetThatTheMoveOutFinds) {
  World world;
  world.starts();
  world.client.sends_bulk(MiB);
  world.settles();
  world.client.sends_bulk(MiB);
  world.edges_are_late[index(LegName::server)] = true;
  world.server.sends("last words");
  world.server.resets();
  world.passes(milliseconds{1});
  EXPECT_EQ(event::to_string(world.relay().cause()), "server.reset");
  EXPECT_EQ(world.client.got(), "last words");
  EXPECT_TRUE(world.client.saw_reset());
  EXPECT_FALSE(world.client.saw_fin());
}

TEST(Splice, EndsWhenAStageComesIntoThePath) {
  World world;
  world.starts();
  world.client.sends_bulk(MiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  world.has_stage(Direction::upstream, std::make_unique<DelayStage>(seconds{1}));
  world.client.sends("late");
  world.settles();
  EXPECT_FALSE(world.up().splicing());
  EXPECT_EQ(world.server.received().size(), MiB);
  world.passes(seconds{1});
  EXPECT_EQ(world.server.received(), world.client.sent());
}

}  // namespace
}  // namespace weir::proxy::scripted
