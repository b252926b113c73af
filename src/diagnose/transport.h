// What the counters of the leg to which Weir's bytes went say of a pause; shared by the rules of the transport.
#pragma once

#include <optional>

#include "diagnose/pause.h"

namespace weir::diagnose {

// The leg that had to take what Weir sent, before anything could come of it.
struct Sending {
  LegName leg{};
  const LegEvidence* evidence = nullptr;  // never null
  Nanos length{};                         // of the pause
  Nanos span{};                           // over which its counters grew: the pause, and the time before it

  // A counter's growth; 0 where it is not known.
  template <class T>
  [[nodiscard]] auto grown(T event::LegCounters::*counter) const -> T {
    return evidence->grown(counter).value_or(T{});
  }
  [[nodiscard]] auto knows_both() const -> bool { return evidence->before && evidence->after; }
  [[nodiscard]] auto after() const -> const event::LegCounters& { return *evidence->after; }
  [[nodiscard]] auto before() const -> const event::LegCounters& { return *evidence->before; }
  // For most of the pause data was on its way, or waited to be sent.
  [[nodiscard]] auto is_busy() const -> bool;
  // For half of the pause at least, the peer's window let nothing more go.
  [[nodiscard]] auto is_window_limited() const -> bool;
  // Bytes that were acknowledged, as a share of what the peer's window and the round trip permit; none where the round
  // trip is too short to say, or something is not known. About 0.6 where the window is all that limits, below 0.1 where
  // the peer does not read (measured).
  [[nodiscard]] auto share_of_window() const -> std::optional<double>;
};

// None if the pause is not one in which Weir's bytes were on the way. It points into the pause.
[[nodiscard]] auto sending(const Pause& pause) -> std::optional<Sending>;

// Linux sends again what was not acknowledged after 200 ms at the soonest, give or take a tick of 4 ms.
inline constexpr Nanos least_timeout = std::chrono::milliseconds{190};

// A path whose round trip is below it is this host or its neighbour's.
inline constexpr Nanos least_path = std::chrono::milliseconds{1};

}  // namespace weir::diagnose
