#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/by_packets.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo peer_loss_cause{
    .name = "peer_loss",
    .doc = "A packet from the sender was lost; those behind it had to wait for it",
    .signals = "Segments came out of order, and bytes lay in the kernel until the hole before them was filled",
    .look_alikes = "Weir's own lag: nothing is out of order then",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.packets) return peer_loss_by_packets(pause);
      const auto hole = pause.source.grown(&event::LegCounters::out_of_order_in).value_or(0);
      const bool may_be = pause.segment == Segment::reads || pause.segment == Segment::server_answers ||
                          pause.segment == Segment::server_sends || pause.segment == Segment::client_sends;
      if (!may_be || hole == 0) return std::nullopt;
      return Finding{
          .side = path_of(pause.source_leg()),
          .certainty = Certainty::shown,
          .text = fmt::format("lost a packet of the {}'s; what came behind it waited", to_string(pause.source_leg())),
          .fix = "look at the path's losses",
          .evidence = {{"out_of_order", hole}}};
    }};

}  // namespace weir::diagnose
