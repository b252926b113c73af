// A stage in a direction's path: held bytes, alarms, limits, and the ends that it may ask for.
#include <gtest/gtest.h>

#include "proxy/relay.h"
#include "proxy/relay_world.h"
#include "proxy/stages.h"

namespace weir::proxy::scripted {
namespace {

using event::TimeoutName;
using fault::End;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

template <class Stage, class... Arguments>
void put_stage(World<>& world, Direction direction, Arguments&&... arguments) {
  world.has_stage(direction, std::make_unique<Stage>(std::forward<Arguments>(arguments)...));
}

TEST(Stage, HandsOnWhatItHeldWhenItsAlarmRings) {
  World world;
  put_stage<DelayStage>(world, Direction::upstream, milliseconds{100});
  world.starts();
  world.client.sends("question");
  world.settles();
  EXPECT_EQ(world.up().held_by_faults(), 8u);
  world.passes(milliseconds{40});
  world.client.sends(", and another");
  world.passes(milliseconds{60} - Nanos{1});
  EXPECT_EQ(world.server.got(), "");
  world.passes(Nanos{1});
  EXPECT_EQ(world.server.got(), "question");
  world.passes(milliseconds{40});
  EXPECT_EQ(world.server.got(), "question, and another");
  EXPECT_EQ(world.up().held_by_faults(), 0u);
  world.server.sends("answer");
  world.settles();
  EXPECT_EQ(world.client.got(), "answer") << "nothing is in the other direction's path";
}

TEST(Stage, TakesPrefilledBytesToo) {
  World world;
  put_stage<DelayStage>(world, Direction::upstream, milliseconds{100});
  world.client.sends("second");
  world.starts(world.blocks.copy(bytes_of("first")));
  EXPECT_EQ(world.server.got(), "");
  world.passes(milliseconds{100});
  EXPECT_EQ(world.server.got(), "firstsecond");
}

TEST(Stage, HasTheSoonerOfTwoAlarmsRung) {
  World world;
  put_stage<DelayStage>(world, Direction::upstream, milliseconds{300});
  put_stage<DelayStage>(world, Direction::downstream, milliseconds{100});
  world.starts();
  world.client.sends("up");
  world.server.sends("down");
  world.settles();
  world.passes(milliseconds{100});
  EXPECT_EQ(world.client.got(), "down");
  EXPECT_EQ(world.server.got(), "");
  world.passes(milliseconds{200});
  EXPECT_EQ(world.server.got(), "up");
}

TEST(Stage, PassesFinOnBehindWhatItHolds) {
  World world;
  put_stage<DelayStage>(world, Direction::upstream, milliseconds{100});
  world.starts();
  world.client.sends("late");
  world.client.sends_fin();
  world.settles();
  EXPECT_FALSE(world.server.fin_passed());
  world.passes(milliseconds{100});
  EXPECT_EQ(world.server.got(), "late");
  EXPECT_TRUE(world.server.saw_fin());
}

TEST(Stage, ThatHoldsNothingPassesFinOnAtOnce) {
  World world;
  put_stage<DelayStage>(world, Direction::upstream, milliseconds{100});
  put_stage<SliceStage>(world, Direction::downstream, 3);
  world.starts();
  world.client.sends_fin();
  world.server.sends_fin();
  world.settles();
  EXPECT_EQ(event::to_string(world.relay().cause()), "client.fin");
}

TEST(Stage, HasEachEmitSentByItself) {
  World world;
  put_stage<SliceStage>(world, Direction::upstream, 10);
  world.starts();
  world.client.sends_bulk(95);
  world.settles();
  EXPECT_EQ(world.server.calls.writes, 10u);
  EXPECT_EQ(world.server.received(), world.client.sent());
}

// Told to an observer that must miss nothing, thousands of sends of one read wait for its ring instead of filling
// memory.
TEST(Stage, HasItsEmitsWaitForTheObserversRoom) {
  World world;
  world.is_watched({.mask = scripted::Watcher::everything, .slots = 16});
  put_stage<SliceStage>(world, Direction::upstream, 1);
  world.starts();
  world.client.sends_bulk(3000);
  world.settles();
  EXPECT_TRUE(world.relay().parked());
  EXPECT_LE(world.server.received().size(), 15U) << "the read and its first sends fill sixteen slots";
  for (int i = 0; world.relay().parked() && i < 1000; ++i) {
    world.watcher->reads();
    world.settles();
  }
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_EQ(world.watcher->told().size(), 1U + 3000U);
}

TEST(Stage, HasItsEmitsWaitForTheSinkInOrder) {
  World world;
  put_stage<SliceStage>(world, Direction::upstream, 7);
  world.starts();
  world.server.send_buffer = 10;
  world.server.stops_reading();
  world.client.sends_bulk(100);
  world.settles();
  const auto read = world.client.bytes_read();
  world.client.sends_bulk(50);
  world.settles();
  EXPECT_EQ(world.client.bytes_read(), read) << "no read while bytes are due";
  EXPECT_TRUE(world.up().blocked_since()) << "they wait for the sink, not for the stage";
  world.client.sends_fin();
  world.server.reads_on();
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_TRUE(world.server.saw_fin());
}

// A fault that is removed may release 32 MiB at once: others on the loop get their turn meanwhile.
TEST(Stage, HasMuchThatItReleasesSentInTurns) {
  World world;
  put_stage<DelayStage>(world, Direction::upstream, seconds{1});
  world.starts();
  world.server.send_buffer = 8 * 1024 * KiB;
  world.client.sends_bulk(2 * 1024 * KiB);
  world.settles();
  ASSERT_EQ(world.up().held_by_faults(), 2 * 1024 * KiB);
  world.clock.advance(seconds{1});
  world.relay().on_alarm(world.now());
  constexpr std::size_t largest_read = 128 * KiB;
  using Upstream = Pump<ScriptedEnd, ScriptedEnd>;
  EXPECT_LE(world.up().written(), Upstream::sent_per_turn + largest_read);
  EXPECT_TRUE(world.relay().wants_rerun());
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
}

TEST(Stage, StopsTheSourceAtItsQueueLimit) {
  World world;
  world.has_stage(Direction::upstream, std::make_unique<DelayStage>(seconds{1}), 100 * KiB);
  world.starts();
  world.client.sends_bulk(1024 * KiB);
  world.settles();
  EXPECT_GE(world.up().held_by_faults(), 100 * KiB);
  EXPECT_LT(world.up().held_by_faults(), 100 * KiB + World<>::scratch_size);
  const auto read = world.client.bytes_read();
  world.client.sends_bulk(1);
  world.settles();
  EXPECT_EQ(world.client.bytes_read(), read);
  for (int i = 0; i < 12; ++i) world.passes(seconds{1});
  EXPECT_EQ(world.server.received(), world.client.sent()) << "alarms run, and no edge is needed to go on";
}

TEST(Stage, HoldsNoMoreThanTheDefaultLimit) {
  World world;
  put_stage<SwallowStage>(world, Direction::upstream);
  world.starts();
  world.client.sends_bulk(fault::default_queue_limit + 1024 * KiB);
  world.settles();
  EXPECT_GE(world.up().held_by_faults(), fault::default_queue_limit);
  EXPECT_LT(world.up().held_by_faults(), fault::default_queue_limit + World<>::scratch_size);
}

TEST(Stage, EndsItsDirectionAfterWhatItEmitted) {
  World world;
  put_stage<LimitStage>(world, Direction::upstream, 5, End::fin);
  world.starts();
  world.client.sends("12345678");
  world.settles();
  EXPECT_EQ(world.server.got(), "12345");
  EXPECT_TRUE(world.server.saw_fin());
  world.server.sends("the answer still comes");
  world.client.sends("not read");
  world.settles();
  EXPECT_EQ(world.client.got(), "the answer still comes");
  EXPECT_EQ(world.client.bytes_read(), 8u);
  EXPECT_EQ(world.up().undelivered(), 3u);
  world.server.sends_fin();
  world.settles();
  EXPECT_TRUE(world.closed());
}

TEST(Stage, EndsItsDirectionThoughItEmitsNothing) {
  World world;
  put_stage<LimitStage>(world, Direction::upstream, 0, End::fin);
  world.starts();
  world.client.sends("nothing of this");
  world.settles();
  EXPECT_EQ(world.server.got(), "");
  EXPECT_TRUE(world.server.saw_fin());
}

TEST(Stage, EndsItsDirectionInItsLastTurn) {
  World world;
  put_stage<LimitStage>(world, Direction::upstream, 4 * 64 * KiB, End::fin);
  world.starts();
  world.server.send_buffer = 1024 * KiB;
  world.client.sends_bulk(4 * 64 * KiB);
  world.settles();
  EXPECT_TRUE(world.server.saw_fin());
}

TEST(Stage, EndsTheSessionInOrderAfterWhatIsDue) {
  World world;
  put_stage<LimitStage>(world, Direction::downstream, 5, End::session_fin);
  world.starts();
  world.passes(seconds{2});
  world.client.send_buffer = 2;
  world.client.stops_reading();
  world.server.sends("12345678");
  world.settles();
  EXPECT_FALSE(world.closed()) << "three bytes are due";
  EXPECT_TRUE(world.server.saw_fin()) << "the other direction has nothing left";
  world.client.reads_on();
  world.settles();
  EXPECT_EQ(world.client.got(), "12345");
  EXPECT_TRUE(world.client.saw_fin());
  EXPECT_EQ(world.cause(), "fault after 2000 ms");
  EXPECT_FALSE(world.relay().cause().leg);
}

TEST(Stage, EndsTheSessionSoThatTheOtherDirectionLetsGoWhatItHolds) {
  World world;
  put_stage<LimitStage>(world, Direction::upstream, 5, End::session_fin);
  put_stage<DelayStage>(world, Direction::downstream, seconds{1});
  world.starts();
  world.server.sends("held");
  world.settles();
  world.client.sends("12345");
  world.settles();
  EXPECT_TRUE(world.server.saw_fin());
  EXPECT_EQ(world.client.got(), "held");
  EXPECT_TRUE(world.client.saw_fin());
  EXPECT_EQ(event::to_string(world.relay().cause()), "fault");
}

TEST(Stage, ResetsTheSessionAtOnce) {
  World world;
  put_stage<LimitStage>(world, Direction::upstream, 5, End::session_reset);
  world.starts();
  world.server.stops_reading();
  world.client.sends("12345");
  world.settles();
  EXPECT_TRUE(world.client.saw_reset() && world.server.saw_reset()) << "a fault's reset waits for nothing";
  EXPECT_EQ(event::to_string(world.relay().cause()), "fault");
}

TEST(Stage, PausesTheClocksOfSilenceWhileItHoldsBytes) {
  World world;
  world.timeouts.set(TimeoutName::idle, seconds{10});
  world.timeouts.set(TimeoutName::idle_server, seconds{5});
  world.timeouts.set(TimeoutName::first_byte_server, seconds{3});
  put_stage<DelayStage>(world, Direction::upstream, minutes{60});
  world.starts();
  world.passes(seconds{1});
  world.client.sends("held for an hour");
  world.passes(minutes{60});
  EXPECT_EQ(world.server.got(), "held for an hour");
  world.passes(seconds{2} - Nanos{1});
  EXPECT_FALSE(world.closed());
  world.passes(Nanos{1});
  EXPECT_EQ(world.cause(), "first_byte.server after 3000 ms");
}

TEST(Stage, NeverArmsWriteStallByWhatItHolds) {
  World world;
  world.timeouts.set(TimeoutName::write_stall, seconds{1});
  put_stage<DelayStage>(world, Direction::upstream, minutes{60});
  world.starts();
  world.server.send_buffer = 4;
  world.server.stops_reading();
  world.client.sends("1234567");
  world.passes(minutes{60});
  EXPECT_FALSE(world.closed());
  EXPECT_TRUE(world.up().blocked_since()) << "now they were released, and wait for the sink";
  world.passes(seconds{1});
  EXPECT_EQ(world.cause(), "write_stall after 1000 ms");
  EXPECT_EQ(world.relay().cause().leg, LegName::server);
}

TEST(Stage, MayLoseWhatItHoldsToAResetsGrace) {
  World world;
  put_stage<DelayStage>(world, Direction::upstream, seconds{60});
  world.starts();
  world.client.sends("held");
  world.client.resets();
  world.passes(seconds{1} - Nanos{1});
  EXPECT_FALSE(world.closed());
  world.passes(Nanos{1});
  EXPECT_TRUE(world.server.saw_reset());
  EXPECT_EQ(world.relay().totals()[0].undelivered, 4u);
}

TEST(Stage, HandsItsLastBytesOnBeforeAReset) {
  World world;
  put_stage<DelayStage>(world, Direction::upstream, milliseconds{500});
  world.starts();
  world.client.sends("held");
  world.client.resets();
  world.passes(milliseconds{501});
  EXPECT_EQ(world.server.got(), "held");
  EXPECT_TRUE(world.server.saw_reset());
  EXPECT_FALSE(world.server.fin_passed());
}

TEST(Stage, IsCutShortByABrokenSink) {
  World world;
  put_stage<SliceStage>(world, Direction::upstream, 2);
  world.starts();
  world.server.send_buffer = 3;
  world.server.stops_reading();
  world.client.sends("123456789");
  world.settles();
  world.server.resets();
  world.settles();
  EXPECT_TRUE(world.closed());
  EXPECT_EQ(world.relay().totals()[0].undelivered, 6u);
  EXPECT_FALSE(world.up().alarm());
}

// What a stage may do beyond the ordinary: nothing emitted, an alarm taken back, an end at the open.
class Whimsical final : public fault::Stage {
 public:
  void on_open(fault::StageContext& context) override { context.arm(context.now() + seconds{1}); }
  void on_chunk(fault::StageContext& context, fault::Chunk chunk) override {
    context.emit({});
    context.disarm();
    context.emit(std::move(chunk));
  }
  void on_alarm(fault::StageContext& context) override { context.end(End::session_reset); }
};

TEST(Stage, MayTakeItsAlarmBack) {
  World rings, silent;
  for (World<>* world : {&rings, &silent}) {
    put_stage<Whimsical>(*world, Direction::upstream);
    world->starts();
  }
  silent.client.sends("x");
  rings.passes(seconds{1});
  silent.passes(seconds{1});
  EXPECT_TRUE(rings.closed());
  EXPECT_FALSE(silent.closed());
  EXPECT_EQ(silent.server.got(), "x");
  EXPECT_EQ(silent.server.calls.writes, 1u) << "an empty emit is no send";
}

TEST(Stage, IsNotRungBeforeItsTime) {
  World world;
  put_stage<Whimsical>(world, Direction::upstream);
  world.starts();
  world.relay().on_alarm(world.now() + seconds{1} - Nanos{1});
  EXPECT_FALSE(world.closed());
}

}  // namespace
}  // namespace weir::proxy::scripted
