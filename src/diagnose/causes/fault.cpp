#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo fault_cause{
    .name = "fault",
    .doc = "A fault of Weir's delayed the bytes",
    .signals = "Bytes were read and not passed on, or a connection was not made, in a session in which a fault acts",
    .look_alikes = "",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.faults.empty()) return std::nullopt;
      if (pause.segment != Segment::passes && pause.segment != Segment::connecting) return std::nullopt;
      std::string names;
      for (const std::string& name : pause.faults) names += (names.empty() ? "" : ", ") + name;
      return Finding{.side = Side::weir,
                     .certainty = Certainty::shown,
                     .text = "delayed it: fault " + names,
                     .fix = "remove the fault",
                     .evidence = {{"held_ns", pause.length.count()}}};
    }};

}  // namespace weir::diagnose
