// What the kernel knows of a leg, told to the session's observers. The relay and its pumps call this only where
// somebody wants it, so none of it needs to be fast to skip: it stays out of line.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "event/fanout.h"
#include "proxy/endpoint.h"

namespace weir::proxy {

// The kernel stamps in wall time; events are in monotonic time. Both clocks are read here, so that a wall clock that
// was set between the stamp and now moves the result by as much; but never beyond now.
[[nodiscard]] inline auto mono_of(WallTime stamp, const Clock& clock) -> MonoTime {
  const MonoTime now = clock.mono();
  return std::min(now, now - (clock.wall() - stamp));
}

// How often one loop asks the kernel for the counters of a session: `burst` times at once, and once each `interval`
// for good.
class ProbeBudget {
 public:
  static constexpr Nanos interval = std::chrono::microseconds{250};
  static constexpr int burst = 64;
  // False: it is used up for now.
  auto take(MonoTime now) -> bool {
    const MonoTime used_until = std::max(used_until_, now - burst * interval);
    if (used_until + interval > now) return false;
    used_until_ = used_until + interval;
    return true;
  }

 private:
  MonoTime used_until_{};  // so far ahead of `now - burst * interval` as was taken
};

// held_up: by observers, until now.
template <Endpoint E>
[[gnu::noinline]] void tell_counters(const E& end, LegName leg, event::ProbePoint point, Nanos held_up,
                                     const event::SessionEvents& events, const Clock& clock) {
  auto counters = end.counters();
  if (!counters) return;
  counters->leg = leg;
  counters->point = point;
  counters->held_up = held_up;
  events.push(clock.mono(), event::EventKind::leg_counters,
              std::make_shared<const event::LegCounters>(*std::move(counters)));
}

// Takes the notices of a leg and tells the stamps among them, to whoever wants them. Returns how many there were.
template <Endpoint E>
[[gnu::noinline]] auto tell_stamps(E& end, LegName leg, const event::SessionEvents& events, const Clock& clock)
    -> std::size_t {
  TransmitStamps stamps;
  const std::size_t count = end.drain_notices(stamps);
  const Direction direction = other(direction_from(leg));  // of the bytes that are written to it
  for (const TransmitStamp& stamp : std::span(stamps).first(count)) {
    const auto tell = [&](event::EventKind kind, event::What what) {
      if (events.wants(kind, direction)) events.push(mono_of(stamp.time, clock), kind, std::move(what));
    };
    switch (stamp.what) {
      case TransmitStamp::What::sent: tell(event::EventKind::sent, event::Sent{stamp.end_offset, direction}); break;
      case TransmitStamp::What::acknowledged:
        tell(event::EventKind::acknowledged, event::Acknowledged{stamp.end_offset, direction});
        break;
    }
  }
  return count;
}

// Which of the kernel's times the observers want of a leg.
[[nodiscard]] inline auto stamps_wanted(const event::SessionEvents& events, LegName leg) -> StampWishes {
  using event::EventKind;
  const Direction from = direction_from(leg);
  const Direction to = other(from);
  return {.received = events.wants(EventKind::receive_times, from) && events.wants(EventKind::chunk_read, from),
          .sent = events.wants(EventKind::sent, to),
          .acknowledged = events.wants(EventKind::acknowledged, to)};
}

}  // namespace weir::proxy
