#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

const CauseInfo standstill_cause{
    .name = "standstill",
    .doc =
        "The server's process stood still as a whole: a stop signal, a debugger, a collector of garbage, a paused VM",
    .signals =
        "Its process is stopped (/proc/PID/stat), on the same host; or no byte came from it in any session, and then "
        "the "
        "answers of many sessions at once, that were asked at different times",
    .look_alikes =
        "A server that is busy with this one request (think): others are answered meanwhile. Workers that are done at "
        "the "
        "same time (pool_exhausted), a tick (polling): that happens again and again",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::server_answers && pause.segment != Segment::server_sends) return std::nullopt;
      const auto is_stopped = [](const PeerState& state) { return state.process && state.process->is_stopped; };
      const Nanos lasted = lasted_to_end(pause, LegName::server, is_stopped);
      if (lasted == Nanos{} || !is_most(lasted, pause)) return std::nullopt;
      return Finding{.side = Side::server,
                     .certainty = Certainty::proven,
                     .text = "stood still: its process was stopped by a signal",
                     .fix = "find out who stops it (SIGSTOP, a debugger, a freezer)",
                     .evidence = {{"stopped_ns", lasted.count()}},
                     .proof = fmt::format("for {} its process was stopped", format_duration(lasted))};
    }};

}  // namespace weir::diagnose
