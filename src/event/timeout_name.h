#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "event/clock_rule.h"

namespace weir::event {

// Every clock Weir runs, by the name users set it with (--timeout NAME=DURATION) and read it by
// ("closed by idle.client after 30.0s"). Total: from one moment to another. Inactivity: since the
// last progress.
enum class TimeoutName : std::uint8_t {
  handshake,
  resolve,
  connect,
  connect_attempt,
  first_byte_client,
  first_byte_server,
  idle,
  idle_client,
  idle_server,
  write_stall,
  half_close,
  max_duration,
  reset_grace,
  drain,
  tcp_user_timeout,
  tcp_keepalive_idle,
  tcp_keepalive_interval,
};
inline constexpr std::size_t timeout_count = 17;

struct TimeoutInfo {
  TimeoutName name;
  std::string_view text;               // "idle.client"
  std::optional<Nanos> default_value;  // none: off
  bool may_be_off;                     // "off" is a legal value
  std::string_view meaning;            // one line for --help and docs/timeouts.md
  ClockPhase phase;
  Blame blames;
  ClockRule rule{};
};

// One row per TimeoutName, in enum order: --help, docs and validation are generated from it, and the
// session's clocks run by it. The rows stand in timeout_catalog.h.
[[nodiscard]] auto timeout_catalog() -> const std::array<TimeoutInfo, timeout_count>&;
// What holds in this process where nobody says otherwise: the catalog's value, but for `drain` of process 1. `docker
// stop` kills after 10 s, and files, logs and answers have to get out by then too.
[[nodiscard]] auto default_here(const TimeoutInfo& info) -> std::optional<Nanos>;
inline constexpr Nanos drain_of_process_one = std::chrono::seconds{8};
[[nodiscard]] auto to_string(TimeoutName name) -> std::string_view;
// Is the leg to blame part of the text, as in "idle.client"?
[[nodiscard]] auto says_its_leg(TimeoutName name) -> bool;
[[nodiscard]] auto find_timeout(std::string_view text) -> const TimeoutInfo*;

}  // namespace weir::event
