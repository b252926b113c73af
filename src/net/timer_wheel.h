#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace weir::net {

class TimerWheel;

// An entry of the wheel, embedded in what it belongs to. Its destructor takes it out.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  auto operator=(const Timer&) -> Timer& = delete;
  virtual ~Timer();
  // Called once, on the loop's thread, at the first tick at or after the deadline. May re-arm.
  virtual void on_timer() = 0;
  [[nodiscard]] auto armed() const -> bool { return wheel_ != nullptr; }

 private:
  friend class TimerWheel;
  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // what points at this timer
  TimerWheel* wheel_ = nullptr;
  std::uint64_t tick_ = 0;
  std::uint8_t level_ = 0;
  std::uint8_t slot_ = 0;
};

// Timeouts: a hierarchical wheel of 5 levels of 64 slots, 10 ms a tick (Varghese and Lauck 1987,
// scheme 7). Arming and disarming are O(1). Owners re-arm lazily: a deadline that moves later is
// left alone and looked at again when it fires, so the data path never touches the wheel. Fires
// never early, at most a tick late. Reaches 122 days; a later deadline is parked there and moved on.
class TimerWheel {
 public:
  static constexpr Nanos tick_length = std::chrono::milliseconds{10};

  explicit TimerWheel(MonoTime start) : start_(start) {}
  TimerWheel(const TimerWheel&) = delete;
  auto operator=(const TimerWheel&) -> TimerWheel& = delete;
  ~TimerWheel();

  // Moves the timer if it is armed already. A deadline in the past fires at the next tick.
  void arm(Timer& timer, MonoTime deadline);
  void disarm(Timer& timer);
  // Fires what is due at `now`.
  void advance(MonoTime now);
  // When advance() next has something to do; a lower bound for timers on upper levels.
  [[nodiscard]] auto next() const -> std::optional<MonoTime>;

 private:
  static constexpr unsigned levels = 5;
  static constexpr unsigned bits = 6;
  static constexpr std::uint64_t slots = 1u << bits;

  struct Level {
    std::array<Timer*, slots> heads{};
    std::uint64_t occupied = 0;
  };

  void insert(Timer& timer);
  void cascade(unsigned level);
  void fire_slot();
  [[nodiscard]] auto next_tick() const -> std::optional<std::uint64_t>;

  MonoTime start_;
  std::uint64_t now_tick_ = 0;
  std::array<Level, levels> level_{};
};

}  // namespace weir::net
