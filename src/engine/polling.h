#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace weir::engine {

// How long a worker asks for events before it sleeps, as users write it: "off"; "auto", 50 us; or a duration from 1us
// to 10ms. 0 is off. See net/poll_before_sleep.h.
[[nodiscard]] auto parse_polling(std::string_view text) -> Result<Nanos>;

// Longer than most of a virtual machine's wake-ups, and than what a peer on the same host takes for a small answer.
constexpr Nanos automatic_polling = std::chrono::microseconds{50};
constexpr Nanos longest_polling = std::chrono::milliseconds{10};

}  // namespace weir::engine
