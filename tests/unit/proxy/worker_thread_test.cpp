// A worker is its loop's thread's: what another thread wants of it, it posts.
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "proxy/session.h"
#include "proxy/worker.h"

namespace weir::proxy {
namespace {

// Calls `entry` on this thread while the worker's loop runs on another.
void call_from_outside(const std::function<void(Worker&)>& entry) {
  const auto loop = net::EventLoop::create(SystemClock::instance()).value();
  net::SystemResolver resolver;
  Worker worker(*loop, resolver);
  std::promise<void> runs;
  loop->post([&runs] { runs.set_value(); });
  std::thread runner([&loop] { loop->run(); });
  runs.get_future().wait();
  entry(worker);
  loop->stop();
  runner.join();
}

TEST(WorkerDeathTest, ACallFromAnotherThreadAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr auto sentence = "an object that lives on it, was called on a thread";
  EXPECT_DEATH(call_from_outside([](Worker& worker) { (void)worker.find_proxy(0); }), sentence);
  EXPECT_DEATH(call_from_outside([](Worker& worker) { worker.each_session([](const Session&) {}); }), sentence);
  EXPECT_DEATH(call_from_outside([](Worker& worker) { worker.stop_accepting(); }), sentence);
  EXPECT_DEATH(call_from_outside([](Worker& worker) { worker.end_all({}, ""); }), sentence);
  EXPECT_DEATH(call_from_outside([](Worker& worker) { worker.resume_parked(); }), sentence);
}

TEST(WorkerThread, ItsLoadIsForAnyThread) {
  call_from_outside([](Worker& worker) { EXPECT_EQ(worker.load(), 0u); });
}

}  // namespace
}  // namespace weir::proxy
