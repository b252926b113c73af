#include "engine/drain.h"

#include <fmt/format.h>

#include "base/duration.h"

namespace weir::engine {

using event::CloseReason;

auto Drain::on_signal(MonoTime now, std::uint64_t live) -> Orders {
  if (phase_ == Phase::ending) return {};
  // mutant: drain-second-signal-is-ignored
  if (phase_ == Phase::draining) return end_now({.reason = CloseReason::shutdown}, "second signal");
  return begin(now, live);
}

auto Drain::begin(MonoTime now, std::uint64_t live) -> Orders {
  if (phase_ != Phase::running) return {};  // mutant: drain-begins-again
  phase_ = Phase::draining;
  Orders orders{.stop_accepting = true};
  if (limit_) end_ = now + *limit_;
  if (live > 0 && limit_ != Nanos{0}) {
    orders.say = fmt::format("draining: {} session{} open, {}; a second signal ends {} now", live, live == 1 ? "" : "s",
                             limit_ ? fmt::format("at most {}", format_duration(*limit_)) : "no limit",
                             live == 1 ? "it" : "them");
  }
  return orders;
}

auto Drain::end(std::string detail) -> Orders {
  if (phase_ == Phase::ending) return {};
  return end_now({.reason = CloseReason::shutdown}, std::move(detail));
}

auto Drain::on_time(MonoTime now) -> Orders {
  const auto due = deadline();
  if (!due || now < *due) return {};  // mutant: drain-without-limit-ends-at-once
  return end_now({.reason = CloseReason::timeout, .timeout = event::TimeoutName::drain, .after = *limit_}, "");
}

auto Drain::deadline() const -> std::optional<MonoTime> { return phase_ == Phase::draining ? end_ : std::nullopt; }

auto Drain::end_now(const event::CloseCause& cause, std::string detail) -> Orders {
  phase_ = Phase::ending;
  return {.stop_accepting = true, .end_sessions = Orders::EndSessions{cause, std::move(detail)}};
}

}  // namespace weir::engine
