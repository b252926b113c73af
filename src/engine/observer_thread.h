#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "event/ring.h"

namespace weir::engine {

// Runs one observer on a thread of its own, over the rings of all workers.
class ObserverThread {
 public:
  // `on_closed` is called once, on this thread, when the observer can take no more.
  ObserverThread(std::unique_ptr<event::Observer> observer, const Clock& clock, std::function<void()> on_closed);
  ~ObserverThread();
  ObserverThread(const ObserverThread&) = delete;
  auto operator=(const ObserverThread&) -> ObserverThread& = delete;

  // Before start(): a ring for one more worker.
  auto add_ring(const event::RingOptions& options) -> event::EventRing&;
  void start();
  // After the workers have stopped (the caller is then the rings' only producer): gives it what is
  // left and ends the thread. False: the observer did not take it within `patience`, as its output
  // is stuck; the thread is left behind and the process should end without unwinding it.
  [[nodiscard]] auto finish(std::chrono::milliseconds patience) -> bool;

 private:
  void run();
  auto drain() -> bool;

  std::unique_ptr<event::Observer> observer_;
  const Clock& clock_;
  std::function<void()> on_closed_;
  event::ConsumerSignal signal_;
  std::vector<std::unique_ptr<event::EventRing>> rings_;
  std::atomic<bool> stopping_{false};
  bool closed_ = false;  // the observer's thread only
  std::mutex mutex_;
  std::condition_variable ended_signal_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace weir::engine
