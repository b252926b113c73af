#include "base/clock.h"

#include <ctime>

namespace weir {
namespace {

auto read_clock(clockid_t id) -> Nanos {
  timespec ts{};
  ::clock_gettime(id, &ts);
  return std::chrono::seconds{ts.tv_sec} + Nanos{ts.tv_nsec};
}

}  // namespace

auto SystemClock::mono() const -> MonoTime { return MonoTime{read_clock(CLOCK_MONOTONIC)}; }
auto SystemClock::wall() const -> WallTime { return WallTime{read_clock(CLOCK_REALTIME)}; }

auto SystemClock::instance() -> const SystemClock& {
  static const SystemClock clock;
  return clock;
}

}  // namespace weir
