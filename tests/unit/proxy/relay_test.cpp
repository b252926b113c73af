// How a session ends in order, who is named as its cause, and what is left to tell afterwards.
#include "proxy/relay.h"

#include <gtest/gtest.h>

#include "proxy/relay_world.h"

namespace weir::proxy::scripted {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Relay, EndsWhenTheClientEndsAndThenTheServer) {
  World world;
  world.starts();
  world.client.sends("last question");
  world.client.sends_fin();
  world.settles();
  EXPECT_EQ(world.server.got(), "last question");
  EXPECT_TRUE(world.server.saw_fin());
  EXPECT_FALSE(world.client.saw_fin());
  EXPECT_FALSE(world.closed());

  world.passes(seconds{2});
  world.server.sends("last answer");
  world.settles();
  EXPECT_EQ(world.client.got(), "last answer") << "the other way goes on after a half-close";

  world.server.sends_fin();
  world.settles();
  EXPECT_TRUE(world.client.saw_fin());
  EXPECT_TRUE(world.closed());
  EXPECT_EQ(world.cause(), "client.fin after 2000 ms");
  EXPECT_EQ(world.relay().cause().leg, LegName::client);
  EXPECT_FALSE(world.client.saw_reset() || world.server.saw_reset());
}

TEST(Relay, EndsWhenTheServerEndsAndThenTheClient) {
  World world;
  world.starts();
  world.server.sends("goodbye");
  world.server.sends_fin();
  world.settles();
  EXPECT_TRUE(world.client.saw_fin());
  EXPECT_FALSE(world.closed());
  world.client.sends_bulk(MiB);
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
  world.client.sends_fin();
  world.settles();
  EXPECT_TRUE(world.server.saw_fin());
  EXPECT_EQ(event::to_string(world.relay().cause()), "server.fin");
  EXPECT_FALSE(world.client.saw_reset() || world.server.saw_reset());
}

TEST(Relay, NamesTheClientWhenBothEndAtOnce) {
  World world;
  world.client.sends_fin();
  world.server.sends_fin();
  world.edge_comes(LegName::client, *world.client.take_edge());
  world.edge_comes(LegName::server, *world.server.take_edge());
  world.starts();
  EXPECT_TRUE(world.client.saw_fin() && world.server.saw_fin());
  EXPECT_EQ(event::to_string(world.relay().cause()), "client.fin");
}

TEST(Relay, PassesFinOnOnlyAfterTheBytesBeforeIt) {
  World world;
  world.starts();
  world.server.send_buffer = 100;
  world.server.stops_reading();
  world.client.sends_bulk(1000);
  world.client.sends_fin();
  for (int i = 0; i < 9; ++i) {
    world.settles();
    EXPECT_FALSE(world.server.fin_passed());
    world.server.takes(100);
  }
  world.settles();
  EXPECT_TRUE(world.server.fin_passed());
  EXPECT_FALSE(world.server.saw_fin()) << "the last hundred are still on their way";
  world.server.takes(100);
  EXPECT_TRUE(world.server.saw_fin());
  EXPECT_EQ(world.server.received(), world.client.sent());
}

TEST(Relay, DeliversWhatTheKernelHoldsAfterItClosed) {
  World world;
  world.starts();
  world.client.stops_reading();
  world.client.sends_fin();
  world.server.sends_bulk(200 * KiB);
  world.server.sends_fin();
  world.settles();
  EXPECT_TRUE(world.closed());
  world.client.reads_on();
  EXPECT_EQ(world.client.received(), world.server.sent());
  EXPECT_TRUE(world.client.saw_fin());
}

TEST(Relay, TriesAnIncompleteFinAgainWhenTheLegIsReady) {
  World world;
  world.starts();
  world.server.close_write_waits = {true, true};
  world.client.sends_fin();
  world.settles();
  EXPECT_EQ(world.server.calls.close_writes, 1u);
  world.server.spurious_edge();
  world.settles();
  EXPECT_FALSE(world.server.saw_fin());
  world.server.spurious_edge();
  world.settles();
  EXPECT_TRUE(world.server.saw_fin());
  EXPECT_EQ(world.server.calls.close_writes, 3u);
}

TEST(Relay, SendsEachFinOnce) {
  World world;
  world.starts();
  world.client.sends_fin();
  for (int i = 0; i < 5; ++i) {
    world.settles();
    world.client.spurious_edge();
    world.server.spurious_edge();
  }
  EXPECT_EQ(world.server.calls.close_writes, 1u);
}

TEST(Relay, TakesAFinThatCannotBeSentForABrokenLeg) {
  World world;
  world.starts();
  world.server.fail_writes.push_back(EPIPE);
  world.client.sends_fin();
  world.passes(seconds{1});
  EXPECT_EQ(event::to_string(world.relay().cause()), "server.reset");
  EXPECT_EQ(world.relay().error(), EPIPE);
}

TEST(Relay, RelaysBothWaysAtOnce) {
  World world;
  world.starts();
  for (int i = 0; i < 20; ++i) {
    world.client.sends_bulk(100 * KiB);
    world.server.sends_bulk(70 * KiB);
    world.settles();
  }
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_EQ(world.client.received(), world.server.sent());
}

TEST(Relay, TellsTotalsAndTheLongestSilenceAfterwards) {
  World world;
  world.starts({}, seconds{5});
  world.passes(seconds{1});
  world.client.sends("123");
  world.settles();
  world.passes(seconds{3});
  world.server.sends("12");
  world.settles();
  world.server.sends("345");
  world.settles();
  world.passes(seconds{2});
  world.client.sends_fin();
  world.server.sends_fin();
  world.settles();
  EXPECT_EQ(world.cause(), "client.fin after 11000 ms");
  EXPECT_EQ(world.relay().longest_silence(), seconds{3});
  const auto [up, down] = world.relay().totals();
  EXPECT_EQ(up.bytes, 3u);
  EXPECT_EQ(up.chunks, 1u);
  EXPECT_EQ(down.bytes, 5u);
  EXPECT_EQ(down.chunks, 2u);
  EXPECT_EQ(up.undelivered + down.undelivered, 0u);
  EXPECT_EQ(world.relay().error(), 0);
}

TEST(Relay, CountsTheSilenceBeforeTheEnd) {
  World world;
  world.starts();
  world.client.sends("x");
  world.settles();
  world.passes(seconds{7});
  world.relay().end({}, false, world.now());
  EXPECT_EQ(world.relay().longest_silence(), seconds{7});
}

TEST(Relay, IsEndedFromOutsideInOrder) {
  World world;
  world.starts();
  world.client.sends("x");
  world.settles();
  world.relay().end({.reason = event::CloseReason::shutdown, .after = seconds{4}}, false, world.now());
  EXPECT_TRUE(world.client.saw_fin() && world.server.saw_fin());
  EXPECT_EQ(world.cause(), "shutdown after 4000 ms");
}

TEST(Relay, IsEndedFromOutsideByReset) {
  World world;
  world.starts();
  world.server.stops_reading();
  world.server.send_buffer = 4;
  world.client.sends("1234567");
  world.settles();
  world.relay().end({}, true, world.now());
  EXPECT_TRUE(world.client.saw_reset() && world.server.saw_reset());
  EXPECT_EQ(world.relay().totals()[0].undelivered, 3u) << "what the kernel had is the kernel's";
  EXPECT_EQ(world.blocks.copy({}).size(), 0u);
}

TEST(Relay, IsEndedBeforeItStarted) {
  World world;
  world.relay().end({.reason = event::CloseReason::connect_refused}, true, world.now());
  EXPECT_TRUE(world.closed());
  EXPECT_TRUE(world.client.saw_reset());
  EXPECT_EQ(world.relay().longest_silence(), Nanos{0});
}

TEST(Relay, DoesNothingMoreOnceItIsClosed) {
  World world;
  world.starts();
  world.relay().end({.reason = event::CloseReason::shutdown, .after = seconds{1}}, false, world.now());
  world.relay().on_ready(LegName::client, {.readable = true, .hang_up = true}, world.now());
  world.relay().rerun(world.now());
  world.relay().on_alarm(world.now());
  world.relay().on_deadline(world.now() + seconds{100'000});
  world.relay().end({.reason = event::CloseReason::fault}, true, world.now());
  EXPECT_EQ(world.cause(), "shutdown after 1000 ms");
  EXPECT_FALSE(world.client.saw_reset());
  EXPECT_FALSE(world.relay().wants_rerun());
  EXPECT_FALSE(world.relay().parked());
  EXPECT_FALSE(world.relay().wants_alarm());
  EXPECT_FALSE(world.relay().deadline());
}

TEST(Relay, CountsStepsThatMoveNothing) {
  World world;
  world.starts();
  for (unsigned i = 0; i < World<>::TheRelay::idle_steps_allowed - 2; ++i) world.relay().rerun(world.now());
  EXPECT_EQ(world.relay().watchdog_trips(), 0u);
  world.relay().rerun(world.now());
  EXPECT_EQ(world.relay().watchdog_trips(), 1u) << "start() was the first";
  for (unsigned i = 0; i < World<>::TheRelay::idle_steps_allowed; ++i) world.relay().rerun(world.now());
  EXPECT_EQ(world.relay().watchdog_trips(), 2u);
}

TEST(Relay, DoesNotCountStepsInARowAcrossProgress) {
  World world;
  world.starts();
  for (int i = 0; i < 10; ++i) {
    for (unsigned step = 0; step < World<>::TheRelay::idle_steps_allowed / 2; ++step) world.relay().rerun(world.now());
    world.client.sends("x");
    world.settles();
  }
  EXPECT_EQ(world.relay().watchdog_trips(), 0u);
}

TEST(Relay, DoesNotCountStepsInWhichAnObserverIsWhatItWaitsFor) {
  World world;
  world.is_watched({.mask = Watcher::everything, .slots = 4});
  world.starts();
  for (int i = 0; i < 3; ++i) {
    world.client.sends("x");
    world.settles();
  }
  ASSERT_TRUE(world.relay().parked());
  for (unsigned i = 0; i < 2 * World<>::TheRelay::idle_steps_allowed; ++i) world.relay().rerun(world.now());
  EXPECT_EQ(world.relay().watchdog_trips(), 0u);
}

TEST(Relay, CountsAFinAsProgress) {
  World world;
  world.starts();
  for (unsigned i = 0; i < World<>::TheRelay::idle_steps_allowed - 2; ++i) world.relay().rerun(world.now());
  world.client.sends_fin();
  world.settles();
  world.relay().rerun(world.now());
  EXPECT_EQ(world.relay().watchdog_trips(), 0u);
}

}  // namespace
}  // namespace weir::proxy::scripted
