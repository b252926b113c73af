#pragma once

#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <string>

#include "engine/engine.h"

namespace weir::engine {

struct LifecycleOptions {
  std::optional<Nanos> drain;        // none: no limit
  std::optional<Nanos> end_after{};  // --for: then it ends, and what sessions there are
  // Why an observer takes no more, as the detail of the sessions that end with it; none: its output was closed.
  std::function<std::string()> why_deaf{};
  bool until_sessions_end = false;            // --once: end when the accepted sessions have
  std::function<void(std::string_view)> say;  // a line for people, without a newline
  bool tells_lag = false;                     // and say, while it happens, that a view is slower than the traffic
  std::function<void()> each_second{};        // none: nothing is to be done meanwhile
  std::function<void()> on_hangup{};  // none: SIGHUP does what it does; else they are blocked and opened with it
};

struct Ending {
  Totals totals;
  event::EventRing::Dropped dropped;  // what was not shown, by policy drop
  bool output_stuck = false;          // see Engine::stop
};

// For poll(2): in milliseconds rounded up, at least 0 and at most an hour, as an int holds 24.8 days. Who waits for
// longer looks again.
[[nodiscard]] auto poll_timeout(Nanos left) -> int;

// SIGINT and SIGTERM, and SIGHUP if `hangup`.
[[nodiscard]] auto served_signals(bool hangup) -> sigset_t;
// Blocks SIGINT and SIGTERM for this thread and those it makes, and SIGHUP if `hangup`; before any thread is
// started.
void block_signals(bool hangup = false);

// Where those that were blocked come out, as signalfd_siginfo. At the start: a process that nobody could end in order
// would be found out too late.
[[nodiscard]] auto open_signals(bool hangup = false) -> Result<Fd>;

// Runs a started engine to its end on the calling thread, with what open_signals() gave: SIGINT or SIGTERM stops
// accepting and lets sessions end for the drain time, a second one ends them now; so does the closing of an observer's
// output. Stops the engine.
[[nodiscard]] auto run_to_end(Engine& engine, const Fd& signals, const LifecycleOptions& options) -> Ending;

// "3 sessions (peak 2), 1.20 MB upstream, 41.5 kB downstream, connect p50 60us p99 80us". `only`: the bytes of the
// other direction were not counted, and are not told.
[[nodiscard]] auto summary(const Totals& totals, const event::EventRing::Dropped& dropped = {},
                           std::optional<Direction> only = {}) -> std::string;

}  // namespace weir::engine
