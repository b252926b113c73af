// The order of events while a worker's loop is late.
#include "control/ordered_events.h"

#include <gtest/gtest.h>

#include "engine/holding_clock.h"
#include "net/places.h"

namespace weir::control {
namespace {

using net::test::wait_until;

class OrderedEventsTest : public testing::Test {
 protected:
  OrderedEventsTest() {
    engine_->start();
    told_.begin();
  }
  ~OrderedEventsTest() override { clock_.hold(false); }
  // A change that no loop has taken when this returns.
  void change_late() {
    const int before = clock_.held();
    clock_.hold(true);
    (void)engine_->create_proxy({});
    ASSERT_TRUE(wait_until([&] { return clock_.held() > before; }));
    (void)engine_->create_proxy({});
    told_.add_change("proxy.created", Json::object(), [this] { ++logged_; });
  }
  auto types() const -> std::vector<std::string> {
    std::vector<std::string> all;
    std::uint64_t missed = 0;
    for (const auto& entry : events_.after(0, 100'000, missed)) all.push_back(entry.type);
    return all;
  }
  auto comes(std::size_t events) -> bool {
    return wait_until([&] {
      home_->run_once(std::chrono::milliseconds{5});
      return events_.last_id() >= events;
    });
  }

  engine::test::HoldingClock clock_;
  std::unique_ptr<net::EventLoop> home_ = *net::EventLoop::create(SystemClock::instance());
  std::unique_ptr<engine::Engine> engine_ = *engine::Engine::create({.workers = 1, .clock = &clock_});
  EventLog events_;
  OrderedEvents told_{events_, *engine_, *home_};
  int logged_ = 0;
};

TEST_F(OrderedEventsTest, ASessionIsNotOpenedInAProxyThatNobodyHasHeardOf) {
  told_.add_session_event("session.closed", Json::object());
  EXPECT_EQ(events_.last_id(), 1u) << "nothing is before it";
  change_late();
  told_.add_session_event("session.opened", Json::object());
  told_.add_missed(3);
  EXPECT_EQ(events_.last_id(), 1u);
  EXPECT_EQ(logged_, 0);
  clock_.hold(false);
  ASSERT_TRUE(comes(4));
  EXPECT_EQ(types(),
            (std::vector<std::string>{"session.closed", "proxy.created", "session.opened", "sessions.missed"}));
  EXPECT_EQ(logged_, 1);
}

TEST_F(OrderedEventsTest, WhatWaitsBehindALateLoopIsBoundedAndCounted) {
  change_late();
  for (std::size_t i = 0; i < OrderedEvents::most_waiting + 10; ++i) {
    told_.add_session_event("session.opened", Json::object());
  }
  EXPECT_EQ(events_.missed(), 11u);
  clock_.hold(false);
  ASSERT_TRUE(comes(OrderedEvents::most_waiting + 1));
  EXPECT_EQ(types().back(), "sessions.missed");
}

}  // namespace
}  // namespace weir::control
