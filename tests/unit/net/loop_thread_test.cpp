// A loop that runs is one thread's: what others call there ends the program instead of racing.
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "net/event_loop.h"

namespace weir::net {
namespace {

using namespace std::chrono_literals;

class Nothing final : public ReadyHandler, public Rerun {
 public:
  void on_ready(std::uint32_t) override {}
  void on_rerun() override {}
};

// Calls `entry` on this thread while the loop runs on another.
void call_from_outside(const std::function<void(EventLoop&, Nothing&)>& entry) {
  const auto loop = EventLoop::create(SystemClock::instance()).value();
  Nothing nothing;
  std::promise<void> runs;
  loop->post([&runs] { runs.set_value(); });
  std::thread runner([&loop] { loop->run(); });
  runs.get_future().wait();
  entry(*loop, nothing);
  loop->stop();  // not reached by an entry that sees to it
  runner.join();
}

class EventLoopDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  static constexpr auto sentence = "net::EventLoop, or an object that lives on it, was called on a thread";
};

TEST_F(EventLoopDeathTest, WatchingFromAnotherThreadAborts) {
  EXPECT_DEATH(call_from_outside([](auto& loop, auto& it) { (void)loop.watch(0, it, 0); }), sentence);
  EXPECT_DEATH(call_from_outside([](auto& loop, auto&) { (void)loop.find({}); }), sentence);
  EXPECT_DEATH(call_from_outside([](auto& loop, auto&) { loop.forget({}); }), sentence);
  EXPECT_DEATH(call_from_outside([](auto& loop, auto&) { loop.unwatch({}, -1); }), sentence);
}

TEST_F(EventLoopDeathTest, PuttingOffFromAnotherThreadAborts) {
  EXPECT_DEATH(call_from_outside([](auto& loop, auto& it) { loop.run_again(it); }), sentence);
  EXPECT_DEATH(call_from_outside([](auto& loop, auto& it) { loop.cancel(it); }), sentence);
  EXPECT_DEATH(call_from_outside([](auto& loop, auto&) { loop.free_later(nullptr); }), sentence);
  EXPECT_DEATH(call_from_outside([](auto& loop, auto&) { loop.set_end_of_turn({}); }), sentence);
}

TEST_F(EventLoopDeathTest, TimersFromAnotherThreadAbort) {
  EXPECT_DEATH(call_from_outside([](auto& loop, auto&) { (void)loop.wheel(); }), sentence);
  EXPECT_DEATH(call_from_outside([](auto& loop, auto&) { (void)loop.alarms(); }), sentence);
}

TEST_F(EventLoopDeathTest, ASecondThreadThatRunsItAborts) {
  EXPECT_DEATH(call_from_outside([](auto& loop, auto&) { loop.run_once(0ns); }), sentence);
}

TEST(EventLoopThread, OtherThreadsMayPost) {
  call_from_outside([](EventLoop& loop, Nothing&) { loop.post([] {}); });
}

// As the engine does: it makes the loops, gives each a thread, and looks at what they leave.
TEST(EventLoopThread, BeforeTheLoopRunsAndAfterItsMakerMayCall) {
  const auto loop = EventLoop::create(SystemClock::instance()).value();
  Nothing nothing;
  loop->run_again(nothing);
  loop->cancel(nothing);
  std::thread([&] {
    loop->post([&loop] {
      (void)loop->wheel();  // on its thread
      loop->stop();
    });
    loop->run();
  }).join();
  loop->set_end_of_turn({});
  loop->run_once(0ns);
}

TEST(EventLoopThread, ATurnInsideOfATurnLeavesTheLoopItsThreads) {
  const auto loop = EventLoop::create(SystemClock::instance()).value();
  bool inner = false;
  loop->post([&] {
    loop->run_once(0ns);
    inner = true;
    loop->assert_on_loop_thread();
  });
  loop->run_once(0ns);
  EXPECT_TRUE(inner);
}

}  // namespace
}  // namespace weir::net
