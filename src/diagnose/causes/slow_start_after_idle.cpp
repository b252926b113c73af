#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"
#include "diagnose/slow_start.h"

namespace weir::diagnose {

const CauseInfo slow_start_after_idle_cause{
    .name = "slow_start_after_idle",
    .doc = "The connection was warm, and an idle pause made its sender begin anew with ten segments",
    .signals = "As for slow_start, after an idle time of more than the sender's timer; before it more was on the way",
    .look_alikes = "A new connection (slow_start): it was never warm. Losses (congestion): something is sent again",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const auto start = slow_start_of(pause);
      if (!start || !start->is_after_idle) return std::nullopt;
      return Finding{.side = start->side,
                     .certainty = Certainty::likely,
                     .text = fmt::format("sends over a connection that was idle for {} and began anew: what is more "
                                         "than {} takes round trips of {}",
                                         format_duration(pause.idle_before), format_size(start->window),
                                         format_duration(start->round_trip)),
                     .fix = "net.ipv4.tcp_slow_start_after_idle=0 on the sender",
                     .evidence = {{"window", static_cast<std::int64_t>(start->window)},
                                  {"idle_ns", pause.idle_before.count()},
                                  {"round_trip_ns", start->round_trip.count()}}};
    }};

}  // namespace weir::diagnose
