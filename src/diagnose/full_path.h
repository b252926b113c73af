#pragma once

#include <cstdint>
#include <optional>

#include "diagnose/pause.h"

namespace weir::diagnose {

// A pause in which a path took all that it could of what Weir sent: a queue stood in front of it.
struct FullPath {
  LegName leg{};
  Nanos queue{};           // the round trip, beyond the least
  std::uint64_t rate = 0;  // bytes a second that were delivered
  bool is_steady = false;  // at both ends of the pause alike
};
[[nodiscard]] auto full_path(const Pause& pause) -> std::optional<FullPath>;

}  // namespace weir::diagnose
