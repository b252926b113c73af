#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

const CauseInfo cork_cause{
    .name = "cork",
    .doc = "The sender corks its socket (TCP_CORK, MSG_MORE) and does not lift the cork; its kernel does, after 200 ms",
    .signals =
        "The sender's own socket, on the same host: bytes are unsent though nothing is unacknowledged and the window "
        "is "
        "open",
    .look_alikes = "A split write (split_write): earlier bytes are unacknowledged",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const bool is_sending = pause.segment == Segment::client_sends || pause.segment == Segment::server_sends ||
                              pause.segment == Segment::server_answers || pause.segment == Segment::client_waits;
      if (!is_sending) return std::nullopt;
      const LegName sender = pause.source_leg();
      const Nanos held = lasted_to_end(pause, sender, is_corked);
      if (held < least_pause || !is_most(held, pause)) return std::nullopt;
      const PeerLook* look = first_look_to_end(pause, sender, is_corked);
      return Finding{
          .side = side_of(sender),
          .certainty = Certainty::proven,
          .text = fmt::format("corks its socket and does not lift the cork: the {} waits in its kernel",
                              sender == LegName::client ? "request" : "response"),
          .fix = "clear TCP_CORK, or leave MSG_MORE out of the last write",
          .evidence = {{"held_ns", held.count()}},
          .proof = fmt::format("{} into it the {}'s own socket held {} bytes back, with none on the way",
                               format_duration(look->time - pause.begin), to_string(sender), look->state.unsent_bytes)};
    }};

}  // namespace weir::diagnose
