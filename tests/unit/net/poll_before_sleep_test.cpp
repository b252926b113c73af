#include "net/poll_before_sleep.h"

#include <gtest/gtest.h>

namespace weir::net {
namespace {

using namespace std::chrono_literals;

// Waits in which an event comes after so long; what asking costs in vain.
auto wasted(PollBeforeSleep& poll, Nanos comes_after, int times) -> Nanos {
  Nanos sum{};
  for (int i = 0; i < times; ++i) {
    if (poll.budget() < comes_after) sum += poll.budget();
    poll.waited(comes_after, 1);
  }
  return sum;
}

TEST(PollBeforeSleep, IsOffUnlessItMayTakeTime) {
  PollBeforeSleep never;
  EXPECT_FALSE(never.is_on());
  for (int i = 0; i < 10; ++i) never.waited(1us, 1);
  EXPECT_EQ(never.budget(), 0us);
}

TEST(PollBeforeSleep, TriesWhereSleepsAreShortAndStaysWhereThatPays) {
  PollBeforeSleep poll(50us);
  EXPECT_EQ(poll.budget(), 0us) << "nothing is known yet";
  poll.waited(90us, 1);  // a wake-up is part of it
  EXPECT_EQ(poll.budget(), 50us);
  for (int i = 0; i < 100; ++i) {
    poll.waited(10us, 1);
    EXPECT_EQ(poll.budget(), 50us);
  }
}

TEST(PollBeforeSleep, DoesNotTryWhereSleepsAreLong) {
  PollBeforeSleep poll(50us);
  EXPECT_EQ(wasted(poll, 300us, 1000), 0us);
}

TEST(PollBeforeSleep, AMissHalvesItAndAHitDoublesIt) {
  PollBeforeSleep poll(80us);
  poll.waited(100us, 1);
  poll.waited(1ms, 1);
  EXPECT_EQ(poll.budget(), 40us);
  poll.waited(1ms, 1);
  EXPECT_EQ(poll.budget(), 20us);
  poll.waited(20us, 1);
  EXPECT_EQ(poll.budget(), 40us);
  poll.waited(5us, 1);
  poll.waited(5us, 1);
  EXPECT_EQ(poll.budget(), 80us) << "no more than the most";
}

TEST(PollBeforeSleep, WhatNeverPaysIsTriedEverMoreSeldom) {
  PollBeforeSleep poll(50us);
  // Just beyond what it asks for, so that each sleep looks worth a try.
  EXPECT_GT(wasted(poll, 60us, 100), 0us);
  EXPECT_LT(wasted(poll, 60us, 100'000), 100'000 * 60us / 200) << "less than half a percent of the time";
}

TEST(PollBeforeSleep, BeginsAtOnceWhenItPaysAgain) {
  PollBeforeSleep poll(50us);
  (void)wasted(poll, 60us, 100'000);
  for (int i = 0; i < 1100; ++i) poll.waited(30us, 1);
  EXPECT_EQ(poll.budget(), 50us);
}

TEST(PollBeforeSleep, IsOffWhileManySocketsAreReady) {
  PollBeforeSleep poll(50us);
  poll.waited(20us, 1);
  EXPECT_EQ(poll.budget(), 50us);
  poll.waited(20us, PollBeforeSleep::many + 1);
  EXPECT_EQ(poll.budget(), 0us);
  poll.waited(20us, PollBeforeSleep::many + 1);
  EXPECT_EQ(poll.budget(), 0us);
  poll.waited(20us, 1);
  EXPECT_EQ(poll.budget(), 50us);
}

TEST(PollBeforeSleep, ADeadlineIsNoEvent) {
  PollBeforeSleep poll(50us);
  for (int i = 0; i < 100; ++i) poll.waited(20us, 0);
  EXPECT_EQ(poll.budget(), 0us);
}

}  // namespace
}  // namespace weir::net
