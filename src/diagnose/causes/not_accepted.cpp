#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

const CauseInfo not_accepted_cause{
    .name = "not_accepted",
    .doc = "The server did not accept the connection; its kernel did, and the request lay there",
    .signals = "The server's own socket, on the same host: it belongs to no process while the request is open",
    .look_alikes = "A server that has accepted and not read (not_read): the socket belongs to it",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const bool speaks_first = pause.segment == Segment::server_sends && pause.exchange == 0;
      if (pause.segment != Segment::server_answers && !speaks_first) return std::nullopt;
      const Nanos lasted = lasted_from_begin(pause, LegName::server, is_not_accepted);
      if (lasted == Nanos{} || !is_most(lasted, pause)) return std::nullopt;
      const PeerState& state = last_look(pause, LegName::server)->state;
      return Finding{.side = Side::server,
                     .certainty = Certainty::proven,
                     .text = "did not accept the connection: the request lay in its kernel",
                     .fix = "accept sooner: the process that accepts is busy or blocked",
                     .evidence = {{"not_accepted_ns", lasted.count()}},
                     .proof = fmt::format("{} into it no process had the server's socket{}", format_duration(lasted),
                                          state.accept_queue ? fmt::format("; {} of at most {} waited to be accepted",
                                                                           *state.accept_queue, state.accept_limit + 1)
                                                             : "")};
    }};

}  // namespace weir::diagnose
