#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo client_think_cause{
    .name = "client_think",
    .doc = "The client had its response and sent no other request",
    .signals = "Time between a response and the next request",
    .look_alikes = "",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::client_waits) return std::nullopt;
      return Finding{
          .side = Side::client, .certainty = Certainty::shown, .text = "sent no request", .fix = "", .evidence = {}};
    }};

}  // namespace weir::diagnose
