#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"
#include "diagnose/full_path.h"

namespace weir::diagnose {

const CauseInfo path_queue_cause{
    .name = "path_queue",
    .doc = "A queue on the path: what is sent waits in it behind other traffic",
    .signals =
        "A transfer of thirty segments and more whose round trip is at least twice the least and 10 ms above it, with "
        "nothing sent again, the peer's window open, and a rate that varies",
    .look_alikes =
        "A rate that is capped (rate_cap): it does not vary. A peer that thinks: of few segments the round "
        "trip says nothing, as an acknowledgement waits for the answer",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const auto path = full_path(pause);
      if (!path || path->is_steady) return std::nullopt;
      return Finding{
          .side = path_of(path->leg),
          .certainty = Certainty::likely,
          .text =
              fmt::format("has a queue of {} in front of the {}", format_duration(path->queue), to_string(path->leg)),
          .fix = "shape the traffic, or use fq and BBR",
          .evidence = {{"queue_ns", path->queue.count()}, {"bytes_a_second", static_cast<std::int64_t>(path->rate)}}};
    }};

}  // namespace weir::diagnose
