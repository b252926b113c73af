#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/clock.h"

namespace weir::engine::test {

// A clock that holds whoever asks it, but for the test's own thread: so a loop is kept busy.
class HoldingClock final : public Clock {
 public:
  [[nodiscard]] auto mono() const -> MonoTime override {
    if (std::this_thread::get_id() != home_) {
      std::unique_lock lock(mutex_);
      held_ += hold_ ? 1 : 0;
      changed_.wait(lock, [this] { return !hold_; });
    }
    return SystemClock::instance().mono();
  }
  [[nodiscard]] auto wall() const -> WallTime override { return SystemClock::instance().wall(); }
  void hold(bool on) {
    const std::lock_guard lock(mutex_);
    hold_ = on;
    changed_.notify_all();
  }
  auto held() const -> int {
    const std::lock_guard lock(mutex_);
    return held_;
  }

 private:
  std::thread::id home_ = std::this_thread::get_id();
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool hold_ = false;
  mutable int held_ = 0;
};

}  // namespace weir::engine::test
