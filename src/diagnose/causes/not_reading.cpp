#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/by_packets.h"
#include "diagnose/peer_evidence.h"
#include "diagnose/transport.h"

namespace weir::diagnose {

const CauseInfo not_reading_cause{
    .name = "not_reading",
    .doc = "The receiver does not read: its window is full",
    .signals =
        "Bytes are not taken by the leg, and the kernel counted at least half of the time as limited by the "
        "peer's window. On the same host: the peer's own socket holds bytes that its process has not read",
    .look_alikes =
        "A window that is too small for the path (small_window): the peer reads, and the throughput is near "
        "window / round trip",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.packets) return not_reading_by_packets(pause);
      const auto sent = sending(pause);
      if (!sent) return std::nullopt;
      const bool passes = pause.segment == Segment::passes;
      const Nanos full = sent->evidence->grown_inside(&event::LegCounters::window_limited);
      const Nanos unread = passes ? lasted_from_begin(pause, sent->leg, is_unread) : Nanos{};
      if (!is_most(full, pause) && !is_most(unread, pause)) return std::nullopt;
      const auto share = sent->share_of_window();
      if (unread == Nanos{} && share && *share > 0.3) return std::nullopt;
      const std::uint32_t unsent = sent->evidence->after ? sent->after().unsent_bytes : 0;
      const PeerLook* look = last_look(pause, sent->leg);
      return Finding{.side = side_of(sent->leg),
                     .certainty = unread > Nanos{} ? Certainty::proven : Certainty::shown,
                     .text = "does not read what it is sent: its receive window is full",
                     .fix = "read on: the application is busy or blocked",
                     .evidence = {{"window_full_ns", full.count()}, {"unsent", unsent}},
                     .proof = unread == Nanos{} ? ""
                                                : fmt::format("{} into it {} bytes lay unread in the {}'s own socket",
                                                              format_duration(unread), look->state.receive_queue,
                                                              to_string(sent->leg))};
    }};

}  // namespace weir::diagnose
