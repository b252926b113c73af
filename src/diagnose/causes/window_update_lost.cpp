#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"
#include "diagnose/transport.h"

namespace weir::diagnose {

const CauseInfo window_update_lost_cause{
    .name = "window_update_lost",
    .doc = "The receiver's window was full, and what it said then was lost",
    .signals =
        "A full window at the session's end, bytes that wait, and at least two probes in a row without an answer",
    .look_alikes = "A receiver that does not read (not_reading): it answers each probe, that its window is full still",
    .judge_unanswered = [](const Pause& pause) -> std::optional<Finding> {
      const auto sent = sending(pause);
      if (!sent || !sent->evidence->after) return std::nullopt;
      const event::LegCounters& last = sent->after();
      const bool stuck = last.peer_window == 0 && last.unacknowledged == 0 && last.unsent_bytes > 0;
      if (!stuck || last.probes < 2) return std::nullopt;
      return Finding{.side = path_of(sent->leg),
                     .certainty = Certainty::likely,
                     .text = "lost what the receiver said of its window; Weir waited for the persist timer",
                     .fix = "look at the path's losses, on the way back",
                     .evidence = {{"probes", last.probes}, {"unsent", last.unsent_bytes}}};
    }};

}  // namespace weir::diagnose
