#include "diagnose/full_path.h"

#include "diagnose/transport.h"

namespace weir::diagnose {

auto full_path(const Pause& pause) -> std::optional<FullPath> {
  constexpr std::uint64_t many = 30;  // segments: a peer acknowledges each second one at once then
  constexpr Nanos least_queue = std::chrono::milliseconds{10};
  const auto sent = sending(pause);
  if (!sent || !sent->knows_both() || !sent->is_busy() || sent->is_window_limited()) return std::nullopt;
  const event::LegCounters& before = sent->before();
  const event::LegCounters& after = sent->after();
  if (sent->grown(&event::LegCounters::total_retransmits) > 0 || after.least_round_trip == Nanos{}) return std::nullopt;
  if (sent->grown(&event::LegCounters::bytes_acknowledged) < many * after.send_mss) return std::nullopt;
  const Nanos queue = after.round_trip - after.least_round_trip;
  if (queue < least_queue || after.round_trip < 2 * after.least_round_trip) return std::nullopt;
  const auto within = [](std::uint64_t a, std::uint64_t b) { return 100 * a >= 85 * b && 100 * b >= 85 * a; };
  return FullPath{.leg = sent->leg,
                  .queue = queue,
                  .rate = after.delivery_rate,
                  .is_steady = after.delivery_rate > 0 && within(before.delivery_rate, after.delivery_rate)};
}

}  // namespace weir::diagnose
