#include "diagnose/slow_start.h"

#include <algorithm>

#include "diagnose/transport.h"

namespace weir::diagnose {
namespace {

constexpr std::uint64_t initial_window = 10;                   // segments (RFC 6928)
constexpr Nanos least_timer = std::chrono::milliseconds{200};  // tcp_rto_min: what is idle longer begins anew

// A peer sends, and Weir sees bursts.
auto of_peer(const Pause& pause) -> std::optional<SlowStart> {
  const event::LegCounters* counters = pause.source.after.get();
  if (counters == nullptr || pause.bursts.count == 0 || pause.bursts.count > Bursts::kept) return std::nullopt;
  const Nanos round_trip = counters->least_round_trip;
  const std::uint64_t mss = counters->receive_mss;
  constexpr std::uint64_t least_mss = 500;
  if (!Bursts::is_round_trip(pause.length, round_trip) || mss < least_mss) return std::nullopt;
  if (counters->out_of_order_in > 0) return std::nullopt;
  const std::uint64_t first = pause.bursts.first[0];
  if (2 * first < (2 * initial_window - 1) * mss || 2 * first > (2 * initial_window + 1) * mss) return std::nullopt;
  for (std::size_t i = 1; i < pause.bursts.count; ++i) {
    const std::uint64_t burst = pause.bursts.first.at(i);
    const std::uint64_t before = pause.bursts.first.at(i - 1);
    if (10 * burst < 14 * before || 10 * burst > 25 * before) return std::nullopt;
  }
  return SlowStart{.side = side_of(pause.source_leg()),
                   .window = first,
                   .round_trip = round_trip,
                   .is_after_idle = pause.bursts.most_before >= 2 * first && pause.idle_before >= least_timer};
}

// Weir sends, and its kernel knows.
auto of_weir(const Pause& pause, const Sending& sent) -> std::optional<SlowStart> {
  if (!sent.knows_both() || !sent.is_busy() || sent.is_window_limited()) return std::nullopt;
  const event::LegCounters& before = sent.before();
  const event::LegCounters& after = sent.after();
  const Nanos round_trip = after.least_round_trip;
  const bool is_quiet = sent.grown(&event::LegCounters::total_retransmits) == 0 && after.congestion_state == 0;
  const bool has_queue = after.round_trip >= 2 * round_trip;
  if (round_trip < least_path || !is_quiet || has_queue || 2 * pause.length < 3 * round_trip) return std::nullopt;
  const std::uint64_t acknowledged = sent.grown(&event::LegCounters::bytes_acknowledged);
  const std::uint64_t window = initial_window * after.send_mss;
  if (acknowledged <= window || window == 0) return std::nullopt;
  constexpr std::uint32_t cold = 2 * initial_window;
  // The kernel makes the window small again as it sends, which may have been before its counters were told.
  const bool is_after_idle = sent.evidence->widest > cold && after.congestion_window < sent.evidence->widest &&
                             pause.idle_before >= std::max(least_timer, before.retransmit_timeout);
  const bool is_new = before.congestion_window <= cold && after.congestion_window > before.congestion_window;
  if (!is_new && !is_after_idle) return std::nullopt;
  // Who sends is Weir, for the other side of the session.
  return SlowStart{
      .side = path_of(sent.leg), .window = window, .round_trip = round_trip, .is_after_idle = is_after_idle};
}

}  // namespace

auto slow_start_of(const Pause& pause) -> std::optional<SlowStart> {
  if (pause.segment == Segment::server_sends || pause.segment == Segment::client_sends) return of_peer(pause);
  const auto sent = sending(pause);
  return sent ? of_weir(pause, *sent) : std::nullopt;
}

}  // namespace weir::diagnose
