#include <fmt/format.h>

#include <utility>

#include "base/duration.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {
namespace {

auto takes_nothing(std::vector<Evidence> evidence) -> Finding {
  return {
      .side = Side::server,
      .certainty = Certainty::shown,
      .text = "its accept queue is full: it let a connection open and took none of its bytes, while it answered others",
      .fix = "accept faster; raise the backlog of listen(2) and net.core.somaxconn",
      .evidence = std::move(evidence)};
}

// The server is on another host. A kernel that has no place for a connection drops the last step of its handshake, and
// what comes behind it; that of the client takes the connection for made.
auto by_other_sessions(const Pause& pause) -> std::optional<Finding> {
  const LegEvidence& server = pause.source;
  if (!pause.others_heard || !server.before || !server.after || server.before->bytes_received > 0) return std::nullopt;
  const auto again = server.grown(&event::LegCounters::total_retransmits).value_or(0);
  const bool counts_timeouts = server.after->total_timeouts > 0;
  const auto timeouts = counts_timeouts ? server.grown(&event::LegCounters::total_timeouts).value_or(0) : again;
  if (again < 2 || timeouts < 2) return std::nullopt;
  return takes_nothing({{"retransmits", again}, {"timeouts", timeouts}});
}

}  // namespace

const CauseInfo accept_queue_full_cause{
    .name = "accept_queue_full",
    .doc = "The server's accept queue was full: its kernel dropped the handshake, or the request behind it",
    .signals =
        "The server's listener, on the same host: more connections wait to be accepted than it allows, and of this one "
        "there is no socket. On another host: the first request of a connection was sent again twice and more, and the "
        "server answered other connections meanwhile",
    .look_alikes =
        "A connection request that was dropped elsewhere (syn_lost): the queue has room. A connection that was not "
        "accepted and is in the queue (not_accepted): it has a socket. A path that is gone (path_gone): nobody is "
        "answered",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::server_answers && pause.segment != Segment::connecting) return std::nullopt;
      const Nanos lasted = lasted_from_begin(pause, LegName::server, is_refused_a_place);
      if (lasted == Nanos{}) return by_other_sessions(pause);
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
    },
    .judge_unanswered = [](const Pause& pause) -> std::optional<Finding> {
      const auto& last = pause.source.after;
      if (!pause.others_heard || !last || last->bytes_received > 0) return std::nullopt;  // mutant: a-path-is-a-queue
      if (last->unacknowledged == 0 || last->backoff < 2 || last->selectively_acked > 0) return std::nullopt;
      return takes_nothing({{"unacknowledged", last->unacknowledged}, {"timer_doubled", last->backoff}});
    }};

}  // namespace weir::diagnose
