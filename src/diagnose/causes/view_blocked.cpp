#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo view_blocked_cause{
    .name = "view_blocked",
    .doc = "Weir stood still, as a view or another observer of the session did not take what it was shown",
    .signals = "Bytes that had come were not read or not passed on while the session waited for an observer's ring",
    .look_alikes = "Weir's own lag (own_lag): it waited for nobody then",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::reads && pause.segment != Segment::passes) return std::nullopt;
      const Nanos held = pause.source.grown(&event::LegCounters::held_up).value_or(Nanos{});
      if (2 * held < pause.length) return std::nullopt;
      return Finding{.side = Side::weir,
                     .certainty = Certainty::shown,
                     .text = "stood still: a view of the session did not take what it was shown",
                     .fix = "have the view drop what its reader does not take, or read faster",
                     .evidence = {{"held_up_ns", held.count()}}};
    }};

}  // namespace weir::diagnose
