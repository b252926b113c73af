// What runs out of memory in one callback of the loop is that callback's loss alone.
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <new>
#include <string>
#include <thread>

#include "base/out_of_memory.h"
#include "net/event_loop.h"

namespace weir::net {
namespace {

using namespace std::chrono_literals;

class RunsOut final : public ReadyHandler, public Rerun, public Timer, public Alarm {
 public:
  void on_ready(std::uint32_t /*events*/) override { run_out(); }
  void on_rerun() override { run_out(); }
  void on_timer() override { run_out(); }
  void on_alarm() override { run_out(); }
  int calls = 0;

 private:
  void run_out() {
    ++calls;
    throw std::bad_alloc();
  }
};

class NoMemory : public testing::Test {
 protected:
  // One turn in which so many callbacks run out of memory.
  void expect_given_up(std::uint64_t count) {
    const auto before = out_of_memory_count();
    loop_->run_once(0ns);
    EXPECT_EQ(out_of_memory_count() - before, count);
  }
  ManualClock clock_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::create(clock_).value();
  RunsOut first_;
  RunsOut second_;
};

TEST_F(NoMemory, HandlersAreAllCalled) {
  const Fd one(::eventfd(1, EFD_CLOEXEC));
  const Fd other(::eventfd(1, EFD_CLOEXEC));
  ASSERT_TRUE(loop_->watch(one.get(), first_, EPOLLIN | EPOLLET));
  ASSERT_TRUE(loop_->watch(other.get(), second_, EPOLLIN | EPOLLET));
  expect_given_up(2);
  EXPECT_EQ(first_.calls + second_.calls, 2);
}

TEST_F(NoMemory, WhatAskedToRunAgainDoes) {
  loop_->run_again(first_);
  loop_->run_again(second_);
  expect_given_up(2);
  EXPECT_FALSE(second_.queued()) << "it has had its turn";
}

TEST_F(NoMemory, TimersAndAlarmsOfOneInstantAllRing) {
  for (RunsOut* each : {&first_, &second_}) {
    loop_->wheel().arm(*each, clock_.mono() + 5ms);
    loop_->alarms().set(*each, clock_.mono() + 5ms);
  }
  clock_.advance(10ms);
  expect_given_up(4);
  EXPECT_EQ(first_.calls, 2);
  EXPECT_EQ(second_.calls, 2);
}

TEST_F(NoMemory, TheTasksBehindItAreRun) {
  std::string ran;
  loop_->post([] { throw std::bad_alloc(); });
  loop_->post([&] { ran += "task "; });
  loop_->set_on_nudge([&] {
    ran += "nudge ";
    throw std::bad_alloc();
  });
  loop_->set_end_of_turn([&] { ran += "end"; });
  loop_->nudge();
  expect_given_up(2);
  EXPECT_EQ(ran, "task nudge end");
}

TEST_F(NoMemory, ANudgeWakesALoopThatSleeps) {
  const auto loop = EventLoop::create(SystemClock::instance()).value();
  int nudges = 0;
  loop->set_on_nudge([&] {
    ++nudges;
    loop->stop();
  });
  std::thread other([&] {
    loop->nudge();
    loop->nudge();
  });
  loop->run();
  other.join();
  EXPECT_GE(nudges, 1);
}

TEST_F(NoMemory, WhatWasMadeReadyIsPostedInOrder) {
  std::string ran;
  auto second = EventLoop::prepare([&] { ran += "second "; });
  loop_->post([&] { ran += "first "; });
  loop_->post(std::move(second));
  loop_->run_once(0ns);
  EXPECT_EQ(ran, "first second ");
}

}  // namespace
}  // namespace weir::net
