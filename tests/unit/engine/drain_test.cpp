#include "engine/drain.h"

#include <gtest/gtest.h>

namespace weir::engine {
namespace {

using namespace std::chrono_literals;
using event::CloseReason;

const MonoTime start{1000s};

TEST(Drain, TheFirstSignalStopsAcceptingAndLetsSessionsEnd) {
  Drain drain(30s);
  EXPECT_FALSE(drain.has_begun());
  EXPECT_FALSE(drain.is_over(true)) << "nobody asked for the end";
  const auto orders = drain.on_signal(start, 2);
  EXPECT_TRUE(orders.stop_accepting);
  EXPECT_FALSE(orders.end_sessions);
  EXPECT_EQ(orders.say, "draining: 2 sessions open, at most 30.0s; a second signal ends them now");
  EXPECT_FALSE(drain.is_over(false));
  EXPECT_TRUE(drain.is_over(true));
}

TEST(Drain, ASecondSignalEndsThemAndAThirdDoesNothing) {
  Drain drain(std::nullopt);
  EXPECT_EQ(drain.on_signal(start, 1).say, "draining: 1 session open, no limit; a second signal ends it now");
  const auto orders = drain.on_signal(start, 1);
  ASSERT_TRUE(orders.end_sessions);
  EXPECT_EQ(orders.end_sessions->cause.reason, CloseReason::shutdown);
  EXPECT_EQ(orders.end_sessions->detail, "second signal");
  const auto third = drain.on_signal(start, 1);
  EXPECT_FALSE(third.stop_accepting || third.end_sessions || !third.say.empty());
}

TEST(Drain, WhenTheTimeIsOverTheyAreEnded) {
  Drain drain(30s);
  EXPECT_FALSE(drain.deadline());
  (void)drain.on_signal(start, 1);
  EXPECT_EQ(drain.deadline(), start + 30s);
  EXPECT_FALSE(drain.on_time(start + 30s - 1ns).end_sessions);
  const auto orders = drain.on_time(start + 30s);
  ASSERT_TRUE(orders.end_sessions);
  EXPECT_EQ(event::describe(orders.end_sessions->cause), "closed by drain after 30.0s");
  EXPECT_FALSE(drain.deadline());
  EXPECT_FALSE(drain.on_time(start + 60s).end_sessions) << "once";
  EXPECT_FALSE(drain.on_signal(start + 60s, 1).end_sessions);
}

TEST(Drain, WithoutALimitThereIsNoDeadline) {
  Drain drain(std::nullopt);
  (void)drain.on_signal(start, 1);
  EXPECT_FALSE(drain.deadline());
  EXPECT_FALSE(drain.on_time(start + 24h).end_sessions);
}

TEST(Drain, NothingIsSaidWhereNothingIsWaitedFor) {
  EXPECT_EQ(Drain(30s).on_signal(start, 0).say, "");
  Drain at_once(0s);
  EXPECT_EQ(at_once.on_signal(start, 5).say, "");
  EXPECT_TRUE(at_once.on_time(start).end_sessions);
}

TEST(Drain, TheEndOfAParentCountsAsTheFirstSignalOnly) {
  Drain drain(30s);
  EXPECT_TRUE(drain.begin(start, 1).stop_accepting);
  EXPECT_FALSE(drain.begin(start + 10s, 1).stop_accepting);
  EXPECT_EQ(drain.deadline(), start + 30s) << "counted from the first";
  EXPECT_TRUE(drain.on_signal(start, 1).end_sessions);
}

TEST(Drain, AClosedOutputEndsEverythingNow) {
  Drain drain(30s);
  const auto orders = drain.on_output_closed();
  ASSERT_TRUE(orders.stop_accepting && orders.end_sessions);
  EXPECT_EQ(orders.end_sessions->detail, "the view's output was closed");
  EXPECT_FALSE(drain.on_output_closed().end_sessions) << "once";
  EXPECT_TRUE(drain.is_over(true));
}

TEST(Drain, ALimitMayChangeUntilItBegins) {
  Drain drain(30s);
  drain.set_limit(1s);
  (void)drain.on_signal(start, 1);
  drain.set_limit(2s);
  EXPECT_EQ(drain.deadline(), start + 1s);
}

}  // namespace
}  // namespace weir::engine
