#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/by_packets.h"
#include "diagnose/cause.h"
#include "diagnose/transport.h"

namespace weir::diagnose {

const CauseInfo loss_cause{
    .name = "loss",
    .doc = "A packet that Weir sent was lost and sent again",
    .signals = "The leg's count of retransmitted segments grew while its answer was waited for",
    .look_alikes = "An answer that was lost (reply_lost): the peer then tells that it had the request twice (DSACK)",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.packets) return loss_by_packets(pause);
      const auto sent = sending(pause);
      if (!sent) return std::nullopt;
      const auto again = sent->grown(&event::LegCounters::total_retransmits);
      // Of what the peer says that it had before, nothing was lost.
      if (again <= sent->grown(&event::LegCounters::needless)) return std::nullopt;
      // Nor of what never left this host, unless a filter dropped it: a kernel that is late itself probes for it early.
      constexpr Nanos this_host = std::chrono::microseconds{100};
      const bool is_early = pause.length < least_timeout && sent->knows_both() &&
                            sent->after().least_round_trip > Nanos{} && sent->after().least_round_trip < this_host;
      if (is_early) return std::nullopt;
      return Finding{
          .side = path_of(sent->leg),
          .certainty = Certainty::shown,
          .text = fmt::format("lost a packet to the {}; it was sent again after a timeout", to_string(sent->leg)),
          .fix = "look at the path's losses",
          .evidence = {{"retransmits", again}}};
    }};

}  // namespace weir::diagnose
