#pragma once

#include <optional>

#include "event/leg_counters.h"

namespace weir::proxy {

// One getsockopt(TCP_INFO): about 0.5 us. `leg` and `point` are the caller's. None of what is no TCP socket.
[[nodiscard]] auto tcp_counters(int fd) -> std::optional<event::LegCounters>;

}  // namespace weir::proxy
