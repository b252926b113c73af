#include "engine/lag_report.h"

#include "base/duration.h"

namespace weir::engine {

auto LagReport::look(MonoTime now, const ObserverLag& lag) -> std::optional<std::string> {
  if (lag.held_up == 0) {
    held_since_.reset();
  } else if (!held_since_) {
    held_since_ = now;
  }
  if (said_at_ && now - *said_at_ < say_at_most) return std::nullopt;  // mutant: lag-told-without-end
  if (held_since_ && now - *held_since_ >= least_hold) {
    said_at_ = now;
    const std::string who = lag.held_up == 1 ? fmt::format("session {}", static_cast<std::uint64_t>(lag.first))
                                             : fmt::format("{} sessions, session {} first", lag.held_up,
                                                           static_cast<std::uint64_t>(lag.first));
    return fmt::format("the view's reader is too slow and holds up {}, for {} so far; --when-slow drop would not", who,
                       format_duration(now - *held_since_));
  }
  if (lag.dropped.chunks == told_chunks_) return std::nullopt;
  said_at_ = now;
  told_chunks_ = lag.dropped.chunks;  // mutant: lag-told-twice
  return fmt::format("the view's reader is too slow: {} chunk{} ({}) not shown so far", lag.dropped.chunks,
                     lag.dropped.chunks == 1 ? "" : "s", format_size(lag.dropped.bytes));
}

auto describe(const ObserverHold& hold) -> std::string {
  const auto counted = [](std::size_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  std::string held = hold.sessions > 0 || hold.listeners == 0 ? counted(hold.sessions, "session") : std::string();
  if (hold.sessions > 0 && hold.listeners > 0) held += " and ";
  if (hold.listeners > 0) held += counted(hold.listeners, "listener");
  const std::string reader = hold.reader.empty() ? std::string() : fmt::format(" of {}", hold.reader);
  return fmt::format("{}{} has made no room for {} and holds up {}{}{}", hold.observer, reader,
                     format_duration(hold.longest), held, hold.way_out.empty() ? "" : ": ", hold.way_out);
}

}  // namespace weir::engine
