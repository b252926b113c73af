#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

const CauseInfo cpu_starved_cause{
    .name = "cpu_starved",
    .doc = "The server's process could run and had no CPU",
    .signals =
        "How long the process that has the server's socket waited for a CPU (/proc/PID/schedstat), on the same host: "
        "at "
        "least half of the pause",
    .look_alikes =
        "A server that works (think) or sleeps: it does not wait for a CPU. Of several threads one may starve that has "
        "nothing to do with the request",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::server_answers && pause.segment != Segment::server_sends) return std::nullopt;
      const auto waited = waited_for_cpu(pause);
      if (!waited || !is_most(*waited, pause)) return std::nullopt;
      return Finding{.side = Side::server,
                     .certainty = pause.server_process->threads == 1 ? Certainty::shown : Certainty::likely,
                     .text = "waited for a CPU: its host is busy with other work",
                     .fix = "give it CPU: fewer neighbours, a larger quota or weight, a higher priority",
                     .evidence = {{"cpu_wait_ns", waited->count()},
                                  {"threads", static_cast<std::int64_t>(pause.server_process->threads)}},
                     .proof = fmt::format("of {} its process waited {} for a CPU", format_duration(pause.length),
                                          format_duration(*waited))};
    }};

}  // namespace weir::diagnose
