#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

namespace weir {
namespace {

using namespace std::chrono_literals;

TEST(Direction, RunsFromItsSourceToItsSink) {
  EXPECT_EQ(source_of(Direction::upstream), LegName::client);
  EXPECT_EQ(sink_of(Direction::upstream), LegName::server);
  EXPECT_EQ(source_of(Direction::downstream), LegName::server);
  EXPECT_EQ(sink_of(Direction::downstream), LegName::client);
  for (const Direction direction : {Direction::upstream, Direction::downstream}) {
    EXPECT_EQ(direction_from(source_of(direction)), direction);
    EXPECT_NE(other(direction), direction);
    EXPECT_EQ(other(other(direction)), direction);
  }
}

TEST(Direction, HasTheNamesOfTheCommandLine) {
  EXPECT_STREQ(to_string(Direction::upstream), "upstream");
  EXPECT_STREQ(to_string(Direction::downstream), "downstream");
  EXPECT_STREQ(to_string(LegName::client), "client");
  EXPECT_STREQ(to_string(LegName::server), "server");
}

TEST(ManualClock, MovesOnlyWhenItIsTold) {
  ManualClock clock;
  const MonoTime mono = clock.mono();
  const WallTime wall = clock.wall();
  EXPECT_EQ(clock.mono(), mono);
  clock.advance(1500ms);
  EXPECT_EQ(clock.mono() - mono, 1500ms);
  EXPECT_EQ(clock.wall() - wall, 1500ms);
}

TEST(SystemClock, NeverRunsBackwardsAndKnowsTheDate) {
  const SystemClock& clock = SystemClock::instance();
  MonoTime last = clock.mono();
  for (int i = 0; i < 1000; ++i) {
    const MonoTime now = clock.mono();
    ASSERT_GE(now, last);
    last = now;
  }
  const auto library = std::chrono::system_clock::now();
  EXPECT_LT(std::chrono::abs(clock.wall() - library), 1h);
}

TEST(Result, HoldsAValueOrASentence) {
  const Result<int> good = 3;
  const Result<int> bad = failure("listen 127.0.0.1:8888: address already in use", EADDRINUSE);
  EXPECT_EQ(good.value(), 3);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, EADDRINUSE);
  EXPECT_EQ(errno_text(ECONNREFUSED), "Connection refused");
}

}  // namespace
}  // namespace weir
