#include "diagnose/transport.h"

#include <algorithm>

namespace weir::diagnose {

auto sending(const Pause& pause) -> std::optional<Sending> {
  const auto of = [&pause](LegName leg, const LegEvidence& evidence) {
    return Sending{
        .leg = leg, .evidence = &evidence, .length = pause.length, .span = pause.length + evidence.before_age};
  };
  switch (pause.segment) {
    case Segment::passes: return of(pause.sink_leg(), pause.sink);
    case Segment::server_answers:
    case Segment::client_waits: return of(pause.source_leg(), pause.source);
    case Segment::connecting:
    case Segment::client_sends:
    case Segment::reads:
    case Segment::server_sends: break;
  }
  return std::nullopt;
}

auto Sending::is_busy() const -> bool { return 10 * evidence->grown_inside(&event::LegCounters::busy) >= 8 * length; }

auto Sending::is_window_limited() const -> bool {
  return 2 * evidence->grown_inside(&event::LegCounters::window_limited) >= length;
}

auto Sending::share_of_window() const -> std::optional<double> {
  if (!knows_both() || span <= Nanos{}) return std::nullopt;
  const Nanos round_trip = after().least_round_trip;
  const std::uint32_t window = std::max(before().peer_window, after().peer_window);
  if (round_trip < least_path || window == 0) return std::nullopt;
  const auto seconds = [](Nanos time) { return std::chrono::duration<double>(time).count(); };
  const double rate = static_cast<double>(grown(&event::LegCounters::bytes_acknowledged)) / seconds(span);
  return rate * seconds(round_trip) / window;
}

}  // namespace weir::diagnose
