#include <algorithm>
#include <utility>
#include <vector>

#include "diagnose/cause.h"
#include "diagnose/peer_evidence.h"
#include "diagnose/transport.h"

namespace weir::diagnose {

namespace {

auto finding(LegName leg, Certainty certainty, std::vector<Evidence> evidence) -> Finding {
  return {.side = path_of(leg),
          .certainty = certainty,
          .text = "lost what the receiver said of its window; Weir waited for the persist timer",
          .fix = "look at the path's losses, on the way back",
          .evidence = std::move(evidence)};
}

}  // namespace

const CauseInfo window_update_lost_cause{
    .name = "window_update_lost",
    .doc = "The receiver's window was full, and what it said then was lost",
    .signals =
        "A full window, bytes that wait, and at least two probes in a row without an answer: as Weir's own socket says "
        "while it lasts, four round trips behind the last of them, or at the session's end",
    .look_alikes = "A receiver that does not read (not_reading): it answers each probe, that its window is full still",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      constexpr Nanos least = std::chrono::milliseconds{30};
      const auto sent = sending(pause);
      if (!sent || !sent->evidence->before) return std::nullopt;
      const Nanos round_trip = std::max(sent->before().round_trip, sent->before().least_round_trip);
      for (const PeerLook& look : pause.own_looks) {
        const Nanos unanswered = look.leg == sent->leg ? unanswered_probe(look.state) : Nanos{};
        if (unanswered < std::max(least, 4 * round_trip)) continue;
        return finding(sent->leg, Certainty::shown,
                       {{"probes", look.state.retransmits}, {"unanswered_ns", unanswered.count()}});
      }
      return std::nullopt;
    },
    .judge_unanswered = [](const Pause& pause) -> std::optional<Finding> {
      const auto sent = sending(pause);
      if (!sent || !sent->evidence->after) return std::nullopt;
      const event::LegCounters& last = sent->after();
      const bool stuck = last.peer_window == 0 && last.unacknowledged == 0 && last.unsent_bytes > 0;
      if (!stuck || last.probes < 2) return std::nullopt;
      return finding(sent->leg, Certainty::likely, {{"probes", last.probes}, {"unsent", last.unsent_bytes}});
    }};

}  // namespace weir::diagnose
