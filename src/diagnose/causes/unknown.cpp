#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo unknown_cause{
    .name = "unknown",
    .doc = "No rule explains the pause",
    .signals = "Whatever is left",
    .look_alikes = "",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const bool ours = pause.segment == Segment::reads || pause.segment == Segment::passes;
      const bool connecting = pause.segment == Segment::connecting;
      return Finding{
          .side = ours         ? Side::weir
                  : connecting ? Side::server_path
                               : side_of(pause.source_leg()),
          .certainty = Certainty::likely,
          .text = fmt::format("no rule explains it: {} of {}", format_duration(pause.length), to_string(pause.segment)),
          .fix = "",
          .evidence = {{"before", static_cast<std::int64_t>(pause.before)},
                       {"piece", static_cast<std::int64_t>(pause.piece)},
                       {"behind", static_cast<std::int64_t>(pause.behind)}}};
    }};

}  // namespace weir::diagnose
