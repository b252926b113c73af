#pragma once

#include <chrono>
#include <cstdint>

namespace weir {

using Nanos = std::chrono::nanoseconds;

// CLOCK_MONOTONIC as a type of its own, so that a wall time cannot be mixed in by mistake.
struct MonoClockTag {
  using duration = Nanos;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonoClockTag, duration>;
  static constexpr bool is_steady = true;
};
using MonoTime = MonoClockTag::time_point;

// CLOCK_REALTIME, nanoseconds since 1970-01-01T00:00:00Z.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Nanos>;

// Where time comes from. Production code uses SystemClock; tests a ManualClock they turn by hand.
// Implementations are safe to read from every thread.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual auto mono() const -> MonoTime = 0;
  [[nodiscard]] virtual auto wall() const -> WallTime = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] auto mono() const -> MonoTime override;
  [[nodiscard]] auto wall() const -> WallTime override;
  // The one instance, for whoever has no reason to inject another.
  [[nodiscard]] static auto instance() -> const SystemClock&;
};

// A clock that stands still until a test advances it. One thread at a time.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(MonoTime mono = MonoTime{std::chrono::seconds{1000}},
                       WallTime wall = WallTime{std::chrono::seconds{1'700'000'000}})
      : mono_(mono), wall_(wall) {}
  [[nodiscard]] auto mono() const -> MonoTime override { return mono_; }
  [[nodiscard]] auto wall() const -> WallTime override { return wall_; }
  void advance(Nanos by) {
    mono_ += by;
    wall_ += by;
  }

 private:
  MonoTime mono_;
  WallTime wall_;
};

}  // namespace weir
