#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace weir::net {

class AlarmHeap;

// An entry of the heap, embedded in what it belongs to. Its destructor takes it out.
class Alarm {
 public:
  Alarm() = default;
  Alarm(const Alarm&) = delete;
  auto operator=(const Alarm&) -> Alarm& = delete;
  virtual ~Alarm();
  // Called once, on the loop's thread, at or after its time. May set itself again.
  virtual void on_alarm() = 0;
  [[nodiscard]] auto is_set() const -> bool { return heap_ != nullptr; }

 private:
  friend class AlarmHeap;
  MonoTime when_{};
  AlarmHeap* heap_ = nullptr;
  std::uint32_t at_ = 0;  // index in the heap, or among the ringing
  bool ringing_ = false;
};

// Moments that need better than the wheel's 10 ms: releases of faulted chunks, the polls of a
// reset's grace. A binary heap, O(log n) to set and clear, nanosecond deadlines.
class AlarmHeap {
 public:
  AlarmHeap() = default;
  AlarmHeap(const AlarmHeap&) = delete;
  auto operator=(const AlarmHeap&) -> AlarmHeap& = delete;
  ~AlarmHeap();

  void set(Alarm& alarm, MonoTime when);
  void clear(Alarm& alarm);
  // Rings what is due at `now`, in order of time. What a callback sets waits for the next call, even
  // if it is due already: an alarm that sets itself to the past cannot starve the others.
  void advance(MonoTime now);
  [[nodiscard]] auto next() const -> std::optional<MonoTime>;

 private:
  void place(std::size_t at, Alarm* alarm);
  void sift_up(std::size_t at);
  void sift_down(std::size_t at);
  std::vector<Alarm*> heap_;
  std::vector<Alarm*> ringing_;  // due, in order; null where a callback cleared one meanwhile
};

}  // namespace weir::net
