#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"
#include "diagnose/transport.h"

namespace weir::diagnose {

const CauseInfo small_window_cause{
    .name = "small_window",
    .doc = "The receiver's window is too small for the path: it reads, and still may only be sent so much a round trip",
    .signals =
        "The kernel counted at least half of the time as limited by the peer's window, and at least half of what that "
        "window and the round trip permit was acknowledged",
    .look_alikes = "A receiver that does not read (not_reading): less than a third of that is acknowledged",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const auto sent = sending(pause);
      if (!sent || !sent->is_window_limited()) return std::nullopt;
      const auto share = sent->share_of_window();
      if (!share || *share < 0.5) return std::nullopt;
      const std::uint32_t window = std::max(sent->before().peer_window, sent->after().peer_window);
      return Finding{.side = side_of(sent->leg),
                     .certainty = Certainty::shown,
                     .text = fmt::format("has a receive window of {}, too small for a round trip of {}",
                                         format_size(window), format_duration(sent->after().least_round_trip)),
                     .fix = "do not set SO_RCVBUF there, or raise net.ipv4.tcp_rmem",
                     .evidence = {{"window", window},
                                  {"round_trip_ns", sent->after().least_round_trip.count()},
                                  {"percent_of_window", static_cast<std::int64_t>(100 * *share)}}};
    }};

}  // namespace weir::diagnose
