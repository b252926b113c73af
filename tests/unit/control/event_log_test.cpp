#include "control/event_log.h"

#include <gtest/gtest.h>

#include <thread>

namespace weir::control {
namespace {

TEST(EventLog, AStreamResumesAfterTheLastItSaw) {
  EventLog log;
  for (int i = 1; i <= 3; ++i) log.add("test", {{"i", i}, {"time", 7}});
  const auto stream = log.follow(1);
  int woken = 0;
  (void)stream->begin([&] { ++woken; });
  EXPECT_EQ(stream->more(1000),
            "id: 2\nevent: test\ndata: {\"i\":2,\"time\":7}\n\nid: 3\nevent: test\ndata: {\"i\":3,\"time\":7}\n\n");
  EXPECT_EQ(stream->more(1000), "");
  log.add("test", {{"i", 4}, {"time", 7}});
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(stream->more(1000), "id: 4\nevent: test\ndata: {\"i\":4,\"time\":7}\n\n");
}

TEST(EventLog, AnEventWithoutATimeGetsOne) {
  EventLog log;
  log.add("test", {{"i", 1}});
  EXPECT_TRUE(log.so_far(0).starts_with("id: 1\nevent: test\ndata: {\"i\":1,\"time\":")) << log.so_far(0);
}

TEST(EventLog, WhatIsForgottenIsAGapThatIsCountedOnce) {
  EventLog log;
  for (std::size_t i = 0; i < EventLog::remembered + 10; ++i) log.add("test", {});
  const auto stream = log.follow(0);
  (void)stream->begin([] {});
  EXPECT_TRUE(stream->more(1).starts_with("event: gap\ndata: {\"missed\":10}\n\nid: 11\n"));
  EXPECT_EQ(stream->more(1).find("gap"), std::string::npos);
}

TEST(EventLog, ANumberThatIsYetToComeIsNoGap) {
  EventLog log;
  log.add("test", {{"i", 1}});
  for (const std::uint64_t after : {std::uint64_t{2}, UINT64_MAX - 1, UINT64_MAX}) EXPECT_EQ(log.so_far(after), "");
  EXPECT_FALSE(log.follow(UINT64_MAX)->filler().empty()) << "boxes on the way cut what is silent";
}

TEST(EventLog, StreamsAreLimited) {
  EventLog log;
  std::vector<std::unique_ptr<http::BodyStream>> streams;
  for (std::size_t i = 0; i < EventLog::most_streams; ++i) streams.push_back(log.follow(0));
  EXPECT_EQ(log.follow(0), nullptr);
  streams.pop_back();
  EXPECT_NE(log.follow(0), nullptr);
}

TEST(EventLog, ANumberOfAnotherRunBeginsAnew) {
  EventLog log;
  log.add("test", {});
  const auto stream = log.follow(1'000'000);
  (void)stream->begin([] {});
  EXPECT_EQ(stream->more(1000), "");
}

TEST(EventLogDeathTest, AnotherThreadMayNotAdd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EventLog log;
  EXPECT_DEATH(std::thread([&] { log.add("test", {}); }).join(), "control::EventLog was called on a thread");
  EXPECT_DEATH(std::thread([&] { log.count_missed(1); }).join(), "control::EventLog was called on a thread");
}

}  // namespace
}  // namespace weir::control
