#include "proxy/bulk_scheduling.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "base/clock.h"

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;
constexpr std::uint64_t MiB = 1024 * 1024;

class ScriptedScheduling final : public ThreadScheduling {
 public:
  [[nodiscard]] auto policy() const -> ThreadPolicy override { return now; }
  auto set(ThreadPolicy policy) -> bool override {
    asked.push_back(policy);
    if (!refuses) now = policy;
    return !refuses;
  }
  ThreadPolicy now = ThreadPolicy::normal;
  bool refuses = false;
  std::vector<ThreadPolicy> asked;
};

class BulkSchedulingTest : public testing::Test {
 protected:
  // A turn of the loop that splices so much, and the next one so much later.
  void turn(std::uint64_t bytes, Nanos then) {
    spliced_ += bytes;
    bulk_.note(spliced_);
    clock_.advance(then);
    loop_->run_once(0ns);
  }
  ManualClock clock_;
  std::unique_ptr<net::EventLoop> loop_ = net::EventLoop::create(clock_).value();
  ScriptedScheduling thread_;
  BulkScheduling bulk_{*loop_, thread_};
  std::uint64_t spliced_ = 0;
};

TEST_F(BulkSchedulingTest, AMebibyteWithinAMillisecondIsBulk) {
  turn(MiB / 2, 500us);
  EXPECT_EQ(thread_.now, ThreadPolicy::normal);
  turn(MiB / 2, 100us);
  EXPECT_EQ(thread_.now, ThreadPolicy::batch);
}

TEST_F(BulkSchedulingTest, TheSameInLongerIsNot) {
  for (int i = 0; i < 100; ++i) turn(MiB / 4, 500us);
  EXPECT_TRUE(thread_.asked.empty());
}

TEST_F(BulkSchedulingTest, EndsTenMillisecondsBehindTheLastMove) {
  turn(MiB, 8ms);
  turn(1, 8ms);
  turn(1, 8ms);
  EXPECT_EQ(thread_.now, ThreadPolicy::batch) << "it still moves";
  turn(0, 3ms);
  turn(0, 10ms);  // the wheel's tick
  EXPECT_EQ(thread_.now, ThreadPolicy::normal);
  EXPECT_EQ(thread_.asked.size(), 2u) << "two calls, however long it took";
}

TEST_F(BulkSchedulingTest, BeginsAnew) {
  for (int i = 0; i < 3; ++i) {
    turn(2 * MiB, 100us);
    EXPECT_EQ(thread_.now, ThreadPolicy::batch);
    turn(0, 40ms);
    EXPECT_EQ(thread_.now, ThreadPolicy::normal);
  }
}

TEST_F(BulkSchedulingTest, APolicyThatItsUserChoseStays) {
  thread_.now = ThreadPolicy::foreign;
  for (int i = 0; i < 10; ++i) turn(2 * MiB, 100us);
  turn(0, 40ms);
  EXPECT_TRUE(thread_.asked.empty());
}

TEST_F(BulkSchedulingTest, ARefusalIsAskedForOnce) {
  thread_.refuses = true;
  for (int i = 0; i < 10; ++i) turn(2 * MiB, 100us);
  EXPECT_EQ(thread_.asked.size(), 1u);
}

// Whatever policy the test's own thread has, as one may not come back from some.
TEST(KernelThreadScheduling, ChangesAThreadAndChangesItBack) {
  std::thread([] {
    KernelThreadScheduling thread;
    if (thread.policy() != ThreadPolicy::normal) return;
    ASSERT_TRUE(thread.set(ThreadPolicy::batch));
    EXPECT_EQ(thread.policy(), ThreadPolicy::batch);
    ASSERT_TRUE(thread.set(ThreadPolicy::normal));
    EXPECT_EQ(thread.policy(), ThreadPolicy::normal);
  }).join();
}

}  // namespace
}  // namespace weir::proxy
