#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

const CauseInfo accept_queue_full_cause{
    .name = "accept_queue_full",
    .doc = "The server's accept queue was full: its kernel dropped the handshake, or the request behind it",
    .signals =
        "The server's listener, on the same host: more connections wait to be accepted than it allows, and of this one "
        "there is no socket",
    .look_alikes =
        "A connection request that was dropped elsewhere (syn_lost): the queue has room. A connection that was not "
        "accepted and is in the queue (not_accepted): it has a socket",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::server_answers && pause.segment != Segment::connecting) return std::nullopt;
      const Nanos lasted = lasted_from_begin(pause, LegName::server, is_refused_a_place);
      if (lasted == Nanos{}) return std::nullopt;
      // What was dropped is sent again by a timer, however soon there is room again: a SYN after a second, a request
      // after 200 ms.
      const bool sent_again = pause.segment == Segment::connecting ||
                              pause.source.grown(&event::LegCounters::total_retransmits).value_or(0) > 0;
      if (!sent_again && !is_most(lasted, pause)) return std::nullopt;
      const auto full = [](const PeerLook& look) {
        return look.leg == LegName::server && is_refused_a_place(look.state);
      };
      const PeerState& state = std::ranges::find_if(pause.looks, full)->state;
      const bool listens = state.kind == PeerState::Kind::listening;
      const std::uint32_t queue = listens ? state.receive_queue : state.accept_queue.value_or(0);
      const std::uint32_t limit = listens ? state.send_queue : state.accept_limit;
      return Finding{.side = Side::server,
                     .certainty = Certainty::proven,
                     .text = fmt::format("its accept queue is full: {} connections wait to be accepted (backlog {})",
                                         queue, limit),
                     .fix = "accept faster; raise the backlog of listen(2) and net.core.somaxconn",
                     .evidence = {{"no_place_ns", lasted.count()}},
                     .proof = fmt::format("{} into it {} waited in the listener's queue, and this one had no socket",
                                          format_duration(lasted), queue)};
    }};

}  // namespace weir::diagnose
