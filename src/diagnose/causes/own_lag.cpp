#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/peer_evidence.h"
#include "diagnose/transport.h"

namespace weir::diagnose {

const CauseInfo own_lag_cause{
    .name = "own_lag",
    .doc = "Weir was late: bytes had arrived, and it did not read or pass them on",
    .signals = "The kernel's receive time against the time of the read; the time of the read against that of the write",
    .look_alikes =
        "A hole in the stream that is filled late (peer_loss): the stamp is then that of its last byte. The "
        "other side does not take the bytes (not_reading): its window is full",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::reads && pause.segment != Segment::passes) return std::nullopt;
      if (pause.segment == Segment::reads && pause.source.grown(&event::LegCounters::out_of_order_in).value_or(0) > 0) {
        return std::nullopt;
      }
      const Nanos full = pause.sink.grown(&event::LegCounters::window_limited).value_or(Nanos{});
      const Nanos unread = lasted_from_begin(pause, pause.sink_leg(), is_unread);
      if (pause.segment == Segment::passes && (is_most(full, pause) || is_most(unread, pause))) return std::nullopt;
      if (pause.segment == Segment::passes) {
        const auto sent = sending(pause);
        if (sent->is_busy() || sent->grown(&event::LegCounters::total_retransmits) > 0) return std::nullopt;
      }
      return Finding{.side = Side::weir,
                     .certainty = Certainty::shown,
                     .text = "was late itself: its host is busy",
                     .fix = "give Weir a CPU of its own, or more workers",
                     .evidence = {{"late_ns", pause.length.count()}}};
    }};

}  // namespace weir::diagnose
