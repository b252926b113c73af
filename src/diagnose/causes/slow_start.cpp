#include "diagnose/slow_start.h"

#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo slow_start_cause{
    .name = "slow_start",
    .doc = "The connection is cold: its sender may have ten segments on the way, and twice as many each round trip",
    .signals =
        "A message that comes as ten segments, a round trip of nothing, twice as much, and so on; or, where Weir "
        "sends, more than a congestion window to acknowledge, a window that grew, nothing sent again and the peer's "
        "window open",
    .look_alikes =
        "A pause that reset a warm connection (slow_start_after_idle): more was on the way before it. A "
        "small send buffer (small_send_buffer): the bursts do not grow",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const auto start = slow_start_of(pause);
      if (!start || start->is_after_idle) return std::nullopt;
      return Finding{.side = start->side,
                     .certainty = Certainty::likely,
                     .text = fmt::format("sends over a cold connection: what is more than {} takes round trips of {}",
                                         format_size(start->window), format_duration(start->round_trip)),
                     .fix = "keep the connection warm: use it again, or send less",
                     .evidence = {{"window", static_cast<std::int64_t>(start->window)},
                                  {"round_trip_ns", start->round_trip.count()}}};
    }};

}  // namespace weir::diagnose
