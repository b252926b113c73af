#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/result.h"
#include "event/ring.h"

namespace weir::engine {

// Runs one observer on a thread of its own, over the rings of all workers. The thread ends when every ring is closed
// and what was in it has been given to the observer. An event for which the observer finds no memory is counted, and
// told to it as a gap when there is some again.
class ObserverThread {
 public:
  // `on_news` is called on this thread: when the observer can take no more, and when the thread is about to end.
  ObserverThread(std::unique_ptr<event::Observer> observer, const Clock& clock, std::function<void()> on_news);
  ~ObserverThread();
  ObserverThread(const ObserverThread&) = delete;
  auto operator=(const ObserverThread&) -> ObserverThread& = delete;

  // False: there was no descriptor left to wake it by; it cannot be started.
  [[nodiscard]] auto is_good() const -> bool { return signal_->is_good(); }
  // Before start(): a ring for one more worker.
  auto add_ring(const event::RingOptions& options) -> const std::shared_ptr<event::EventRing>&;
  // An Error: the system has no thread for it.
  auto start() -> Result<void>;
  [[nodiscard]] auto rings() const -> const std::vector<std::shared_ptr<event::EventRing>>& { return rings_; }

  // The observer takes no more; what comes is thrown away. Any thread.
  [[nodiscard]] auto is_deaf() const -> bool { return deaf_.load(); }
  // The thread has nothing more to do: finish() and the destructor return at once. Any thread.
  [[nodiscard]] auto has_ended() const -> bool { return ended_.load(); }
  // After the workers have stopped (the caller is then the rings' only producer): gives it what is
  // left and ends the thread. False: its output is stuck, as the observer took no event for `patience`, or so slow that
  // `most_patience` times that was too little; the thread is left behind and the process should end without unwinding
  // it.
  static constexpr int most_patience = 5;
  [[nodiscard]] auto finish(std::chrono::milliseconds patience) -> bool;

 private:
  void run();
  auto drain(const std::function<void(event::Event&)>& take) -> bool;
  void give(const event::Event& event);
  void lose(const event::Event& event);
  void tell_lost();
  [[nodiscard]] auto flush() -> bool;
  [[nodiscard]] auto all_rings_ended() const -> bool;

  std::unique_ptr<event::Observer> observer_;
  const Clock& clock_;
  std::function<void()> on_news_;
  std::shared_ptr<event::ConsumerSignal> signal_ = std::make_shared<event::ConsumerSignal>();
  std::vector<std::shared_ptr<event::EventRing>> rings_;  // a worker that is late may hold one longer
  std::atomic<bool> stopping_{false};
  std::atomic<bool> deaf_{false};
  std::atomic<bool> ended_{false};
  std::atomic<std::uint64_t> taken_{0};  // events
  Nanos wall_offset_{};                  // of this batch
  std::optional<event::Event> lost_;     // a Gap, where the first lost event was
  std::mutex mutex_;
  std::condition_variable ended_signal_;
  std::thread thread_;
};

}  // namespace weir::engine
