#include "syslog/log_delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace weir::syslog {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

// An output that does what the test says, and keeps what arrived.
class ScriptedOutput final : public LogOutput {
 public:
  auto open() -> Result<void> override {
    ++opened;
    if (open_error != 0) return failure("cannot open", open_error);
    return {};
  }
  auto send(std::string_view message) -> Result<void> override {
    if (send_error != 0) return failure("cannot send", send_error);
    arrived.emplace_back(message);
    return {};
  }
  void close() override { ++closed; }

  int open_error = 0;
  int send_error = 0;
  int opened = 0;
  int closed = 0;
  std::vector<std::string> arrived;
};

struct DeliveryTest : testing::Test {
  void push(const std::string& message) {
    queue.push({.time = clock.wall(), .level = LogLevel::info, .message = message});
  }
  ManualClock clock;
  LogQueue queue{clock, 4, 1000};
  ScriptedOutput output;
  std::vector<std::string> outages;
  LogDelivery delivery{queue, output, clock, [](const LogRecord& record) { return record.message; },
                       [this](const std::string& why) { outages.push_back(why); }};
};

TEST_F(DeliveryTest, SendsInOrderAndThenWaits) {
  push("one");
  push("two");
  EXPECT_FALSE(delivery.turn()) << "nothing more to do until something new is there";
  EXPECT_THAT(output.arrived, ElementsAre("one", "two"));
  EXPECT_TRUE(delivery.is_up());
  EXPECT_EQ(delivery.sent(), 2U);
}

TEST_F(DeliveryTest, ADeadTargetIsTriedAgainAfterLongerAndLongerWaits) {
  output.open_error = ECONNREFUSED;
  push("one");
  Nanos expected = milliseconds{100};
  for (int attempt = 1; attempt <= 12; ++attempt) {
    const auto next = delivery.turn();
    ASSERT_TRUE(next);
    EXPECT_EQ(*next - clock.mono(), std::min<Nanos>(expected, std::chrono::seconds{30})) << "attempt " << attempt;
    clock.advance(*next - clock.mono() - Nanos{1});
    EXPECT_EQ(delivery.turn(), next);
    EXPECT_EQ(output.opened, attempt) << "not before its time";
    clock.advance(Nanos{1});
    expected *= 2;
  }
  EXPECT_THAT(outages, ElementsAre("cannot open")) << "told once";
  output.open_error = 0;
  EXPECT_FALSE(delivery.turn());
  EXPECT_THAT(output.arrived, ElementsAre("one"));
  EXPECT_EQ(delivery.trouble(), "");
  EXPECT_EQ(queue.dropped(), 0U);
}

TEST_F(DeliveryTest, WhatWasNotSentIsSentAgainOnANewConnection) {
  push("one");
  delivery.turn();
  output.send_error = EPIPE;
  push("two");
  const auto next = delivery.turn();
  ASSERT_TRUE(next);
  EXPECT_EQ(output.closed, 1);
  output.send_error = 0;
  clock.advance(milliseconds{100});
  EXPECT_FALSE(delivery.turn());
  EXPECT_THAT(output.arrived, ElementsAre("one", "two"));
  EXPECT_EQ(output.opened, 2);
}

TEST_F(DeliveryTest, AFullQueueDropsTheNewestAndSaysHowMany) {
  output.open_error = ECONNREFUSED;
  delivery.turn();
  for (int i = 1; i <= 7; ++i) push(std::to_string(i));
  EXPECT_EQ(queue.dropped(), 3U);
  output.open_error = 0;
  clock.advance(milliseconds{100});
  delivery.turn();
  EXPECT_THAT(output.arrived,
              ElementsAre("1", "2", "3", "4", "3 log messages were dropped here, as this target did not take them"));
  push("8");
  delivery.turn();
  EXPECT_EQ(output.arrived.back(), "8") << "told once";
}

TEST_F(DeliveryTest, TheWordOfADropStandsWhereTheyAreMissing) {
  for (int i = 1; i <= 5; ++i) push(std::to_string(i));
  (void)queue.take();
  push("6");
  delivery.turn();
  EXPECT_THAT(output.arrived,
              ElementsAre("2", "3", "4", "1 log messages were dropped here, as this target did not take them", "6"));
}

TEST_F(DeliveryTest, TheQueueIsBoundedInBytesToo) {
  push(std::string(900, 'x'));
  push(std::string(200, 'y'));
  push("small");
  EXPECT_EQ(queue.size(), 3U) << "the long one, the word of the drop, the small one";
  EXPECT_EQ(queue.dropped(), 1U);
}

TEST_F(DeliveryTest, AMessageThatCanNeverBeSentDoesNotHoldUpTheNext) {
  output.send_error = EMSGSIZE;
  push("too long");
  EXPECT_FALSE(delivery.turn()) << "the word of it cannot be sent either, and that is the end of it";
  EXPECT_EQ(queue.dropped(), 1U);
  output.send_error = 0;
  push("next");
  EXPECT_FALSE(delivery.turn());
  EXPECT_THAT(output.arrived, ElementsAre("next"));
  EXPECT_THAT(outages, IsEmpty());
}

TEST_F(DeliveryTest, ARefusedDatagramIsCounted) {
  push("one");
  delivery.turn();
  output.send_error = ECONNREFUSED;
  push("two");
  delivery.turn();
  EXPECT_EQ(queue.dropped(), 1U) << "one had nobody to take it";
  EXPECT_EQ(delivery.trouble(), "cannot send");
}

TEST_F(DeliveryTest, ReopeningOpensAtOnceWithoutAMessage) {
  delivery.turn();
  delivery.reopen();
  EXPECT_EQ(output.closed, 1);
  delivery.turn();
  EXPECT_EQ(output.opened, 2);
}

TEST_F(DeliveryTest, TheLastTurnDoesNotWait) {
  output.open_error = ECONNREFUSED;
  push("one");
  delivery.turn();
  output.open_error = 0;
  delivery.last_turn();
  EXPECT_THAT(output.arrived, ElementsAre("one"));
}

}  // namespace
}  // namespace weir::syslog
