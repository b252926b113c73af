#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo think_cause{
    .name = "think",
    .doc = "The server had the request and took its time to answer",
    .signals = "The request was passed on, and no byte of the response came; beyond the leg's least round trip",
    .look_alikes =
        "A request that was not accepted or not read (not_accepted, not_read): the server's own socket tells, "
        "on the same host. A reply that was lost",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::server_answers) return std::nullopt;
      const Nanos round_trip = pause.source.after ? pause.source.after->least_round_trip : Nanos{};
      return Finding{.side = Side::server,
                     .certainty = Certainty::likely,
                     .text = "took its time to answer",
                     .fix = "",
                     .evidence = {{"think_ns", std::max(pause.length - round_trip, Nanos{}).count()},
                                  {"round_trip_ns", round_trip.count()}}};
    }};

}  // namespace weir::diagnose
