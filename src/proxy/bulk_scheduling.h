#pragma once

#include <cstdint>

#include "base/clock.h"
#include "net/event_loop.h"

namespace weir::proxy {

// How the kernel schedules a worker's thread (sched(7)).
enum class ThreadPolicy : std::uint8_t {
  normal,  // SCHED_OTHER
  batch,   // SCHED_BATCH
  foreign  // whatever else its user has chosen: it stays
};

// The calling thread's policy, and a change of it; false: refused. Neither needs a privilege.
class ThreadScheduling {
 public:
  virtual ~ThreadScheduling() = default;
  [[nodiscard]] virtual auto policy() const -> ThreadPolicy = 0;
  virtual auto set(ThreadPolicy policy) -> bool = 0;
};
class KernelThreadScheduling final : public ThreadScheduling {
 public:
  [[nodiscard]] auto policy() const -> ThreadPolicy override;
  auto set(ThreadPolicy policy) -> bool override;
};

// While a worker moves bulk, its thread is scheduled as one of a batch. Its wake-up then does not interrupt the program
// that is just sending, so that more has come when it runs: fewer turns, and less work for each byte. A message that
// goes alone would wait longer for that, so it is so only while bulk moves, and for 10 ms behind it.
// On the worker's thread.
class BulkScheduling final : private net::Timer {
 public:
  BulkScheduling(net::EventLoop& loop, ThreadScheduling& thread) : loop_(loop), thread_(thread) {}
  ~BulkScheduling() override = default;
  BulkScheduling(const BulkScheduling&) = delete;
  auto operator=(const BulkScheduling&) -> BulkScheduling& = delete;

  // At the end of a turn: so many bytes were spliced since the worker began.
  void note(std::uint64_t spliced) {
    if (spliced != seen_) moved(spliced);
  }

  // Bulk is at least so much within so long.
  static constexpr std::uint64_t bulk = 1024 * 1024;
  static constexpr Nanos window = std::chrono::milliseconds{1};
  static constexpr Nanos rest = std::chrono::milliseconds{10};

 private:
  void moved(std::uint64_t spliced);
  void on_timer() override;

  net::EventLoop& loop_;
  ThreadScheduling& thread_;
  std::uint64_t seen_ = 0;
  std::uint64_t at_window_ = 0;  // bytes when the window began
  MonoTime window_since_{};
  MonoTime last_moved_{};
  bool is_batch_ = false;
  bool is_refused_ = false;  // by the kernel once, or it is the user's to choose
};

}  // namespace weir::proxy
