#include "control/session_watch.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace weir::control {
namespace {

using namespace std::chrono_literals;

TEST(SessionWatch, WhatTheControlThreadCannotKeepUpWithIsCountedAndTold) {
  ManualClock clock;
  const auto loop = net::EventLoop::create(clock).value();
  std::size_t delivered = 0;
  std::uint64_t missed = 0;
  SessionWatch watch(*loop, [&](std::vector<SessionWatch::Item>&& items) {
    for (const auto& item : items) {
      if (item.type == "sessions.missed") {
        missed += item.data["events"].get<std::uint64_t>();
      } else {
        ++delivered;
      }
    }
  });
  const auto send = [&](std::size_t batches, std::size_t events) {
    for (std::size_t batch = 0; batch < batches; ++batch) {
      for (std::size_t i = 0; i < events; ++i) {
        event::Event opened;
        opened.what = std::make_shared<const event::SessionOpened>();
        watch.on_event(opened, 0ns);
      }
      EXPECT_TRUE(watch.flush());
    }
  };
  constexpr std::size_t size = 64;
  constexpr std::size_t taken = SessionWatch::most_waiting / size;
  send(taken + 100, size);  // while the loop does something else
  loop->run_once(0ns);
  EXPECT_EQ(delivered, taken * size);
  EXPECT_EQ(missed, 100 * size) << "once, however many batches it were";

  send(1, size);
  loop->run_once(0ns);
  EXPECT_EQ(delivered, (taken + 1) * size) << "there is room again";
  EXPECT_EQ(missed, 100 * size);
}

TEST(SessionWatch, WhatARingDroppedIsToldWithItsTime) {
  ManualClock clock;
  const auto loop = net::EventLoop::create(clock).value();
  std::vector<Json> told;
  SessionWatch watch(*loop, [&](std::vector<SessionWatch::Item>&& items) {
    for (const auto& item : items) told.push_back(item.data);
  });
  event::Event gap;
  gap.time = MonoTime{2s};
  gap.what = event::Gap{.events = 7};
  watch.on_event(gap, 1s);
  EXPECT_TRUE(watch.flush());
  loop->run_once(0ns);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].value("events", 0), 7);
  EXPECT_EQ(told[0].value("time", 0.0), 3.0);
}

}  // namespace
}  // namespace weir::control
