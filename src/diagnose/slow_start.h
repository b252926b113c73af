#pragma once

#include <cstdint>
#include <optional>

#include "diagnose/pause.h"

namespace weir::diagnose {

// A pause in which a sender's congestion window was what limited it, and was on its way up from its start.
struct SlowStart {
  Side side{};               // who sends
  std::uint64_t window = 0;  // bytes that it may have on the way at first
  Nanos round_trip{};
  bool is_after_idle = false;
};
[[nodiscard]] auto slow_start_of(const Pause& pause) -> std::optional<SlowStart>;

}  // namespace weir::diagnose
