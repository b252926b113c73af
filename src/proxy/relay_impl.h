// The how of relay.h; included by it alone.
#pragma once

#include <cerrno>

#include "proxy/relay.h"

namespace weir::proxy {

template <Endpoint C, Endpoint S>
void Relay<C, S>::start(MonoTime now, MonoTime accepted, Slice prefilled) {
  relaying_started_ = true;
  accepted_ = accepted;
  started_ = last_activity_ = idle_since_ = now;
  client_.writable = server_.writable = true;
  deadline_closer_ = true;
  if (!prefilled.empty()) upstream_.prefill(std::move(prefilled), observation_, now);
  step(now);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::on_ready(LegName leg, const Readiness& news, MonoTime now) {
  const auto note = [&](auto& side) {
    side.readable |= news.readable || news.hang_up || news.notice || news.urgent;
    side.writable |= news.writable || news.hang_up || news.notice;
    side.short_read_proves_nothing |= news.hang_up || news.urgent;
    if (news.notice) side.end.drain_notices();
  };
  leg == LegName::client ? note(client_) : note(server_);
  if (!relaying_started_ || phase_ == RelayPhase::closed) return;
  step(now);
  if ((news.hang_up || news.notice) && phase_ == RelayPhase::relaying) {
    look_for_silent_death(leg);
    if (leg_broken(leg)) begin_handing_on(leg, now);
  }
}

// A leg that we do not read may have been reset: because what it sent before is still unsent at the
// other, or because it had sent FIN. No call on it would tell for as long as the other is slow or
// silent. After our own FIN a closed state is the normal end and says nothing.
template <Endpoint C, Endpoint S>
void Relay<C, S>::look_for_silent_death(LegName leg) {
  const auto look = [](auto& side, const auto& from, const auto& to) {
    const bool just_read = from.state() == PumpState::flowing && !side.can_read();
    if (just_read || to.state() == PumpState::finished) return;
    if (side.end.dead()) side.break_with(0);
  };
  leg == LegName::client ? look(client_, upstream_, downstream_) : look(server_, downstream_, upstream_);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::rerun(MonoTime now) {
  if (phase_ != RelayPhase::closed) step(now);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::step(MonoTime now) {
  wants_rerun_ = parked_ = false;
  const auto progress = [](const auto& pump) { return 2 * pump.bytes() - pump.undelivered(); };  // read + written
  const std::uint64_t up = progress(upstream_);
  const std::uint64_t down = progress(downstream_);
  const auto up_state = upstream_.state();
  const auto down_state = downstream_.state();
  const PumpStep first = upstream_.run(client_, server_, context_, observation_, now);
  const PumpStep second = downstream_.run(server_, client_, context_, observation_, now);
  // The second pump's write may have found bytes for the first that no edge announces (TLS records).
  const bool found_more = first == PumpStep::waiting && client_.end.buffered() && upstream_.takes_more();
  wants_rerun_ = first == PumpStep::again || second == PumpStep::again || found_more;
  parked_ = first == PumpStep::parked || second == PumpStep::parked;

  const std::uint64_t up_moved = progress(upstream_) - up;
  const std::uint64_t down_moved = progress(downstream_) - down;
  if (up_moved + down_moved > 0 || up_state != upstream_.state() || down_state != downstream_.state()) {
    idle_steps_ = 0;
    if (up_moved + down_moved > 0) note_activity(up_moved, down_moved, now);
    if (phase_ == RelayPhase::handing_on) poll_anew(now);
  } else if (!parked_ && ++idle_steps_ >= idle_steps_allowed) {
    idle_steps_ = 0;
    ++watchdog_trips_;
  }
  note_blocking();
  if (carry_out_stage_end(now)) return;
  note_fins(now);
  note_pause(now);
  if (phase_ == RelayPhase::relaying) {
    if (client_.broken || server_.broken) {
      begin_handing_on(client_.broken ? LegName::client : LegName::server, now);
    } else if (upstream_.ended() && downstream_.ended()) {
      using event::CloseReason;
      const auto fin = first_fin_ == LegName::client ? CloseReason::client_fin : CloseReason::server_fin;
      const auto leg = ended_by_fault_ ? std::nullopt : first_fin_;
      close({.reason = ended_by_fault_ ? CloseReason::fault : fin, .leg = leg, .after = now - accepted_}, false, now);
    }
  } else if (phase_ == RelayPhase::handing_on) {
    hand_on(now);
  }
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::note_activity(std::uint64_t upstream_moved, std::uint64_t downstream_moved, MonoTime now) {
  longest_silence_ = std::max(longest_silence_, now - last_activity_);
  last_activity_ = idle_since_ = now;
  // When both moved in one step the server's bytes were relayed last.
  const bool from_client = downstream_moved == 0 && upstream_moved > 0;
  if (from_client == last_byte_from_client_) return;
  last_byte_from_client_ = from_client;
  // The clock that this starts may be shorter than the one that it stops.
  deadline_closer_ |=
      (*timeouts_)[from_client ? event::TimeoutName::idle_server : event::TimeoutName::idle_client].has_value();
}

// A pump that has just become blocked starts a clock; one that goes on needs no announcement.
template <Endpoint C, Endpoint S>
void Relay<C, S>::note_blocking() {
  const std::array<bool, 2> blocked{upstream_.blocked_since().has_value(), downstream_.blocked_since().has_value()};
  for (unsigned i = 0; i < 2; ++i) deadline_closer_ |= blocked[i] && !was_blocked_[i];
  was_blocked_ = blocked;
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::note_fins(MonoTime now) {
  const auto fin_read = [](PumpState state) { return state == PumpState::finishing || state == PumpState::finished; };
  if (!first_fin_ && (fin_read(upstream_.state()) || fin_read(downstream_.state()))) {
    first_fin_ = fin_read(upstream_.state()) ? LegName::client : LegName::server;
    fin_at_ = now;
    deadline_closer_ = true;
  }
  const bool one = (upstream_.state() == PumpState::finished) != (downstream_.state() == PumpState::finished);
  if (!one || half_close_told_) return;
  half_close_told_ = true;
  if (observation_.fanout != nullptr && observation_.fanout->wants(event::EventKind::half_closed)) {
    const auto direction = upstream_.state() == PumpState::finished ? Direction::upstream : Direction::downstream;
    observation_.fanout->push(event::Event{now, observation_.proxy, observation_.session, event::HalfClosed{direction}},
                              event::EventKind::half_closed);
  }
}

template <Endpoint C, Endpoint S>
auto Relay<C, S>::carry_out_stage_end(MonoTime now) -> bool {
  for (const auto& end : {upstream_.stage_end(), downstream_.stage_end()}) {
    if (!end || *end == fault::End::fin) continue;
    if (*end == fault::End::session_reset) {
      close({.reason = event::CloseReason::fault, .after = now - accepted_}, true, now);
      return true;
    }
    if (std::exchange(ended_by_fault_, true)) continue;
    upstream_.end_reading(now);
    downstream_.end_reading(now);
    wants_rerun_ = true;
  }
  return false;
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::begin_handing_on(LegName broken, MonoTime now) {
  phase_ = RelayPhase::handing_on;
  broken_leg_ = broken;
  handing_on_since_ = now;
  poll_anew(now);
  // Its kernel queue may still hold what it sent before: read on until it says so itself.
  if (broken == LegName::client) {
    downstream_.cut();
    client_.readable = client_.short_read_proves_nothing = true;
  } else {
    upstream_.cut();
    server_.readable = server_.short_read_proves_nothing = true;
  }
  step(now);
}

// The last bytes written are acknowledged a round trip later, however long those before them took.
template <Endpoint C, Endpoint S>
void Relay<C, S>::poll_anew(MonoTime now) {
  next_poll_ = now;
  poll_step_ = std::chrono::milliseconds{1};
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::hand_on(MonoTime now) {
  const LegName sink = other(broken_leg_);
  const bool moved_all = broken_leg_ == LegName::client ? upstream_.ended() : downstream_.ended();
  const std::size_t unsent = sink == LegName::client ? client_.end.unsent() : server_.end.unsent();
  const auto grace = (*timeouts_)[event::TimeoutName::reset_grace];
  if (parked_ && grace) handing_on_since_ = now;  // our observer is what it waits for, not the peer
  const bool expired = !grace || now - handing_on_since_ >= *grace;
  const bool delivered = moved_all && unsent == 0;
  if (!delivered && !expired && !leg_broken(sink)) {
    if (next_poll_ > now) return;
    next_poll_ = now + poll_step_;
    poll_step_ = std::min<Nanos>(poll_step_ * 2, std::chrono::milliseconds{256});
    return;
  }
  grace_expired_ = !delivered && !leg_broken(sink);
  if (grace_expired_) left_in_kernel_[index(direction_from(broken_leg_))] = unsent;
  close(cause_of_break(broken_leg_, now), true, now);
}

template <Endpoint C, Endpoint S>
auto Relay<C, S>::cause_of_break(LegName leg, MonoTime now) const -> event::CloseCause {
  using event::CloseReason;
  const bool client = leg == LegName::client;
  const int error = client ? client_.error : server_.error;
  event::CloseCause cause{.leg = leg, .after = now - accepted_};
  if (error == ECONNRESET || error == EPIPE || error == 0) {
    cause.reason = client ? CloseReason::client_reset : CloseReason::server_reset;
  } else if (error == ETIMEDOUT) {
    // Both of the kernel's clocks say ETIMEDOUT; keepalive runs only while nothing is unacknowledged.
    const std::size_t unacknowledged = client ? client_.end.unsent() : server_.end.unsent();
    const auto user_timeout = (*timeouts_)[event::TimeoutName::tcp_user_timeout];
    if (unacknowledged == 0) {
      cause.reason = CloseReason::keepalive;
      cause.after = now - last_activity_;
    } else if (user_timeout) {
      cause.reason = CloseReason::timeout;
      cause.timeout = event::TimeoutName::tcp_user_timeout;
      cause.after = *user_timeout;
    } else {
      cause.reason = client ? CloseReason::client_error : CloseReason::server_error;
    }
  } else {
    cause.reason = client ? CloseReason::client_error : CloseReason::server_error;
  }
  return cause;
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::on_alarm(MonoTime now) {
  if (phase_ == RelayPhase::closed) return;
  upstream_.on_alarm(now);
  downstream_.on_alarm(now);
  step(now);
}

template <Endpoint C, Endpoint S>
auto Relay<C, S>::wants_alarm() const -> CompactOptional<MonoTime> {
  CompactOptional<MonoTime> when;
  const auto sooner = [&when](CompactOptional<MonoTime> time) {
    if (time && (!when || *time < *when)) when = time;
  };
  if (phase_ == RelayPhase::closed) return when;
  sooner(upstream_.alarm());
  sooner(downstream_.alarm());
  if (phase_ == RelayPhase::handing_on) {
    sooner(next_poll_);
    if (const auto grace = (*timeouts_)[event::TimeoutName::reset_grace]) sooner(handing_on_since_ + *grace);
  }
  return when;
}

// Bytes wait for us, not for a peer: in a fault's queue, or in the kernel as an observer is slow.
template <Endpoint C, Endpoint S>
auto Relay<C, S>::held_back() const -> bool {
  return parked_ || upstream_.held_by_stage() > 0 || downstream_.held_by_stage() > 0;
}

// While bytes wait for us the clocks of silence stand still.
template <Endpoint C, Endpoint S>
void Relay<C, S>::note_pause(MonoTime now) {
  if (held_back() == paused_) return;
  paused_ = !paused_;
  if (paused_) {
    paused_at_ = now;
    return;
  }
  for (MonoTime* since : {&started_, &idle_since_, &fin_at_}) *since = now - std::max(paused_at_ - *since, Nanos{0});
  deadline_closer_ = true;
}

template <Endpoint C, Endpoint S>
template <class Visit>
void Relay<C, S>::each_clock(Visit visit) const {
  using enum event::TimeoutName;
  const auto clock = [&](event::TimeoutName name, MonoTime since) {
    if (const auto value = (*timeouts_)[name]) visit(name, since + *value, *value);
  };
  if (phase_ != RelayPhase::relaying) return;
  clock(max_duration, accepted_);
  if (const auto since = upstream_.blocked_since()) clock(write_stall, *since);
  if (const auto since = downstream_.blocked_since()) clock(write_stall, *since);
  if (held_back()) return;
  if (upstream_.bytes() == 0 && !first_fin_) clock(first_byte_client, started_);
  if (downstream_.bytes() == 0 && !first_fin_) clock(first_byte_server, started_);
  clock(last_byte_from_client_ ? idle_server : idle_client, idle_since_);
  if (first_fin_) clock(half_close, std::max(idle_since_, fin_at_));
  clock(idle, idle_since_);
}

template <Endpoint C, Endpoint S>
auto Relay<C, S>::deadline() const -> std::optional<MonoTime> {
  std::optional<MonoTime> soonest;
  each_clock([&soonest](event::TimeoutName, MonoTime when, Nanos) {
    if (!soonest || when < *soonest) soonest = when;
  });
  return soonest;
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::on_deadline(MonoTime now) {
  if (phase_ != RelayPhase::relaying) return;
  event::CloseCause cause{.reason = event::CloseReason::timeout};
  std::optional<MonoTime> soonest;
  each_clock([&](event::TimeoutName name, MonoTime when, Nanos value) {
    if (when > now || (soonest && when >= *soonest)) return;
    soonest = when;
    cause.timeout = name;
    cause.after = value;
  });
  if (!soonest) return;
  if (cause.timeout == event::TimeoutName::write_stall) {
    const auto up = upstream_.blocked_since();
    cause.leg = up && *up + cause.after <= now ? LegName::server : LegName::client;
  }
  // Bytes that will not be delivered are followed by a reset: after a FIN the reader would take the
  // part it got for the whole.
  close(cause, upstream_.undelivered() + downstream_.undelivered() > 0, now);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::end(const event::CloseCause& cause, bool reset, MonoTime now) {
  if (phase_ != RelayPhase::closed) close(cause, reset, now);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::close(const event::CloseCause& cause, bool reset, MonoTime now) {
  phase_ = RelayPhase::closed;
  cause_ = cause;
  error_ = cause.leg == LegName::server ? server_.error : client_.error;
  if (relaying_started_) longest_silence_ = std::max(longest_silence_, now - last_activity_);
  client_.end.probe(ProbePoint::close);
  server_.end.probe(ProbePoint::close);
  // Totals stay readable: cut() gives the bytes back, not the counters.
  upstream_.cut();
  downstream_.cut();
  reset ? client_.end.reset() : client_.end.close();
  reset ? server_.end.reset() : server_.end.close();
}

template <Endpoint C, Endpoint S>
auto Relay<C, S>::totals() const -> std::array<event::DirectionTotals, 2> {
  const auto of = [this](const auto& pump, Direction direction) {
    return event::DirectionTotals{pump.bytes(), pump.chunks(), pump.undelivered() + left_in_kernel_[index(direction)]};
  };
  return {of(upstream_, Direction::upstream), of(downstream_, Direction::downstream)};
}

}  // namespace weir::proxy
