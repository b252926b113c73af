// What rules ask of the looks at a peer's socket that fell into a pause.
#pragma once

#include <algorithm>

#include "diagnose/cause.h"
#include "diagnose/peer_state.h"

namespace weir::diagnose {

// States of a socket, of which a rule asks how long they lasted.
[[nodiscard]] inline auto is_not_accepted(const PeerState& state) -> bool {
  return state.kind == PeerState::Kind::connected && state.inode == 0;
}
[[nodiscard]] inline auto is_unread(const PeerState& state) -> bool {
  return state.kind == PeerState::Kind::connected && state.inode != 0 && state.receive_queue > 0;
}
// All that came was read, and nothing waits to be sent.
[[nodiscard]] inline auto is_at_work(const PeerState& state) -> bool {
  return state.kind == PeerState::Kind::connected && state.inode != 0 && state.receive_queue == 0 &&
         state.send_queue == 0;
}
// All that was written to it has left; what the other end's kernel has not acknowledged yet counts as left.
[[nodiscard]] inline auto has_sent_all(const PeerState& state) -> bool {
  return state.kind == PeerState::Kind::connected && state.unsent_bytes == 0;
}
// The listener has no place for one more connection, and of this one there is no socket.
[[nodiscard]] inline auto is_refused_a_place(const PeerState& state) -> bool {
  if (state.kind == PeerState::Kind::listening) return state.receive_queue > state.send_queue;
  return state.kind == PeerState::Kind::opening && state.accept_queue && *state.accept_queue > state.accept_limit;
}
[[nodiscard]] inline auto is_held_by_nagle(const PeerState& state) -> bool {
  return state.holds_back() && state.unacknowledged > 0;
}
[[nodiscard]] inline auto is_corked(const PeerState& state) -> bool {
  return state.holds_back() && state.unacknowledged == 0;
}

// The last look at this peer; null: none fell into the pause.
[[nodiscard]] auto last_look(const Pause& pause, LegName leg) -> const PeerLook*;
// The first of the looks at this peer from which on all were so; null: the last was not.
[[nodiscard]] auto first_look_to_end(const Pause& pause, LegName leg, bool (*is)(const PeerState&)) -> const PeerLook*;
// How long it was so for certain, of a state that comes at the pause's end if at all: from the first look that saw it,
// if all behind it saw it too, to the end.
[[nodiscard]] auto lasted_to_end(const Pause& pause, LegName leg, bool (*is)(const PeerState&)) -> Nanos;
// The same of a state that stands at the pause's begin if at all: from there to the last look that saw it, if all
// before it saw it too.
[[nodiscard]] auto lasted_from_begin(const Pause& pause, LegName leg, bool (*is)(const PeerState&)) -> Nanos;
// The last look at Weir's own end of this leg; null: none fell into the pause, or the peer is on this host.
[[nodiscard]] auto last_own_look(const Pause& pause, LegName leg) -> const PeerState*;
// Full segments are sent again and again, and a shorter one behind them has arrived long ago.
[[nodiscard]] inline auto loses_full_segments(const PeerState& own) -> bool {
  constexpr std::uint32_t least_full = 1000;  // bytes; a smaller segment passes everywhere
  return own.backoff >= 2 && own.selectively_acked > 0 && own.unacknowledged > own.selectively_acked &&
         own.send_mss >= least_full;
}
// How long the last probe of a full window was without an answer when it was looked at, if the one before it had none
// either; else 0. The kernel doubles the time to the next with each (tcp_probe0_when), and forgets their number with an
// answer. A single one says nothing: Linux answers at most one in 500 ms (net.ipv4.tcp_invalid_ratelimit).
[[nodiscard]] inline auto unanswered_probe(const PeerState& own) -> Nanos {
  constexpr std::uint8_t window_probe = 4;
  constexpr std::uint8_t most_backoff = 10;
  if (own.timer != window_probe || own.retransmits < 2 || own.peer_window > 0 || own.backoff > most_backoff) return {};
  return std::max(Nanos{}, own.retransmit_timeout * (1 << own.backoff) - own.timer_left);
}
// How long the server's process could run and had no CPU, from the first look that found it to the pause's end; none:
// it is not known.
[[nodiscard]] auto waited_for_cpu(const Pause& pause) -> std::optional<Nanos>;
// Is it what the pause was for the most part?
[[nodiscard]] inline auto is_most(Nanos part, const Pause& pause) -> bool { return 2 * part >= pause.length; }

// What the look saw, as values.
void add_look(std::vector<Evidence>& evidence, const Pause& pause, const PeerLook& look);

}  // namespace weir::diagnose
