// The how of relay.h; included by it alone.
#pragma once

#include <cerrno>
#include <limits>

#include "base/out_of_memory.h"
#include "proxy/relay.h"

namespace weir::proxy {

template <Endpoint C, Endpoint S>
void Relay<C, S>::start(MonoTime now, MonoTime accepted, Slice from_client, Slice from_server) {
  relaying_started_ = true;
  clocks_.connected(accepted, now);
  client_.writable = server_.writable = true;
  observers_changed();
  tell_counters(event::ProbePoint::opened);
  if (!from_client.empty()) {
    upstream_.prefill(std::move(from_client), context_, events_);
    clocks_.prefilled(LegName::client);
  }
  if (!from_server.empty()) {
    downstream_.prefill(std::move(from_server), context_, events_);
    clocks_.prefilled(LegName::server);
  }
  step(now);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::observers_changed() {
  if (!relaying_started_ || phase_ == RelayPhase::closed) return;
  client_.end.take_stamps(stamps_wanted(events_, LegName::client), downstream_.written());
  server_.end.take_stamps(stamps_wanted(events_, LegName::server), upstream_.written());
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::tell_counters(event::ProbePoint point) {
  if (!relaying_started_ || phase_ == RelayPhase::closed || !events_.wants(event::EventKind::leg_counters)) return;
  counters_told_ = short_age(context_.clock.mono());
  proxy::tell_counters(client_.end, LegName::client, point, waited_for_observers(), events_, context_.clock);
  proxy::tell_counters(server_.end, LegName::server, point, waited_for_observers(), events_, context_.clock);
}

// Are the counters to be told, as bytes move now that ended such a silence?
template <Endpoint C, Endpoint S>
auto Relay<C, S>::counters_are_due(Nanos silence, MonoTime now) -> bool {
  if (!events_.wants(event::EventKind::leg_counters)) return false;
  if (silence >= event::always_told_after) return true;
  const bool is_time =
      silence >= event::told_after_silence || short_age(now) - counters_told_ >= event::told_while_moving;
  return is_time && context_.probes.take(now);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::on_ready(LegName leg, const Readiness& news, MonoTime now) {
  const auto note = [&](auto& side) {
    side.readable |= news.readable || news.hang_up || news.notice || news.urgent;
    side.writable |= news.writable || news.hang_up || news.notice;
    side.short_read_proves_nothing |= news.hang_up || news.urgent;
    // A stamp is progress: the kernel makes no more of them than we make sends.
    if (news.notice && tell_stamps(side.end, leg, events_, context_.clock) > 0) idle_steps_ = 0;
  };
  leg == LegName::client ? note(client_) : note(server_);
  if (!relaying_started_ || phase_ == RelayPhase::closed) return;
  step(now);
  if ((news.hang_up || news.notice) && phase_ == RelayPhase::relaying) {
    look_for_silent_death(leg);
    if (leg_broken(leg)) deliver_before_reset(leg, now);
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
    if (side.end.dead()) side.break_with(0);  // mutant: silent-death-overlooked
  };
  leg == LegName::client ? look(client_, upstream_, downstream_) : look(server_, downstream_, upstream_);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::rerun(MonoTime now) {
  if (phase_ != RelayPhase::closed) step(now);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::step(MonoTime now) {
  wants_rerun_ = false;
  const auto progress = [](const auto& pump) { return 2 * pump.bytes() - pump.undelivered(); };  // read + written
  const std::uint64_t up = progress(upstream_);
  const std::uint64_t down = progress(downstream_);
  const auto up_state = upstream_.state();
  const auto down_state = downstream_.state();
  const Nanos silence = clocks_.silence(now);
  const PumpStep first = upstream_.run(client_, server_, context_, events_, now);
  const PumpStep second = downstream_.run(server_, client_, context_, events_, now);
  // The second pump's write may have found bytes for the first that no edge announces (TLS records).
  const bool found_more = first == PumpStep::waiting && client_.end.buffered() && upstream_.takes_more();
  wants_rerun_ = first == PumpStep::again || second == PumpStep::again || found_more;
  note_parked(first == PumpStep::parked || second == PumpStep::parked, now);

  const std::uint64_t up_moved = progress(upstream_) - up;
  const std::uint64_t down_moved = progress(downstream_) - down;
  if (up_moved + down_moved > 0 || up_state != upstream_.state() || down_state != downstream_.state()) {
    idle_steps_ = 0;
    if (up_moved + down_moved > 0) {
      clocks_.bytes_moved(up_moved, down_moved, *timeouts_, now);
      if (counters_are_due(silence, now)) tell_counters(event::ProbePoint::moved);
    }
    if (phase_ == RelayPhase::delivering_before_reset) poll_anew(now);
  } else if (!parked_ && ++idle_steps_ >= idle_steps_allowed) {
    idle_steps_ = 0;
    if (watchdog_trips_ < std::numeric_limits<std::uint16_t>::max()) ++watchdog_trips_;
  }
  clocks_.write_blocked(upstream_.blocked_since(), downstream_.blocked_since(), *timeouts_);
  if (carry_out_fault_end(now)) return;
  note_fins(now);
  clocks_.held_back(held_back(), *timeouts_, now);
  if (phase_ == RelayPhase::relaying) {
    if (client_.broken || server_.broken) {
      deliver_before_reset(client_.broken ? LegName::client : LegName::server, now);
    } else if (upstream_.ended() && downstream_.ended()) {  // mutant: half-close-ends-both
      using event::CloseReason;
      const auto fin = first_fin_ == LegName::client ? CloseReason::client_fin : CloseReason::server_fin;
      const bool by_fault = ended_by_fault_ || first_fin_is_made_;
      const auto leg = by_fault ? std::nullopt : first_fin_;
      close({.reason = by_fault ? CloseReason::fault : fin, .leg = leg, .after = age(now)}, false, now);
    }
  } else if (phase_ == RelayPhase::delivering_before_reset) {
    pass_reset_on_when_delivered(now);
  }
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::note_parked(bool parked, MonoTime now) {
  if (std::exchange(parked_, parked) == parked) return;
  if (parked) {
    parked_at_ = short_age(now);
    return;
  }
  const ShortTime waited = short_age(now) - parked_at_;
  waited_for_observers_ += std::min(waited, ShortTime::max() - waited_for_observers_);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::note_fins(MonoTime now) {
  const auto fin_read = [](PumpState state) { return state == PumpState::finishing || state == PumpState::finished; };
  if (!first_fin_ && (fin_read(upstream_.state()) || fin_read(downstream_.state()))) {
    const bool up = fin_read(upstream_.state());
    first_fin_ = up ? LegName::client : LegName::server;
    first_fin_is_made_ = (up ? upstream_.end_maker() : downstream_.end_maker()) != nullptr;
    clocks_.fin_read(*timeouts_, now);
  }
  const bool one = (upstream_.state() == PumpState::finished) != (downstream_.state() == PumpState::finished);
  if (!one || half_close_told_) return;
  half_close_told_ = true;
  if (events_.wants(event::EventKind::half_closed)) {
    const bool up = upstream_.state() == PumpState::finished;
    const fault::FaultSpec* maker = up ? upstream_.end_maker() : downstream_.end_maker();
    event::HalfClosed half_closed{.direction = up ? Direction::upstream : Direction::downstream};
    if (maker != nullptr) half_closed.fault = std::make_shared<const std::string>(maker->name);
    events_.push(context_.clock.mono(), event::EventKind::half_closed, std::move(half_closed));
  }
}

template <Endpoint C, Endpoint S>
auto Relay<C, S>::end_maker() const -> const fault::FaultSpec* {
  const fault::FaultSpec* up = upstream_.end_maker();
  const fault::FaultSpec* down = downstream_.end_maker();
  if (session_ender_ != SessionEnder::none) return session_ender_ == SessionEnder::upstream ? up : down;
  const bool up_is_first = down == nullptr || first_fin_ != LegName::server;
  return up != nullptr && up_is_first ? up : down;
}

template <Endpoint C, Endpoint S>
auto Relay<C, S>::carry_out_fault_end(MonoTime now) -> bool {
  for (const SessionEnder pump : {SessionEnder::upstream, SessionEnder::downstream}) {
    const auto end = pump == SessionEnder::upstream ? upstream_.fault_end() : downstream_.fault_end();
    if (!end || *end == fault::End::fin) continue;
    if (session_ender_ == SessionEnder::none || *end == fault::End::session_reset) session_ender_ = pump;
    if (*end == fault::End::session_reset) {
      close({.reason = event::CloseReason::fault, .after = age(now)}, true, now);
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
void Relay<C, S>::deliver_before_reset(LegName broken, MonoTime now) {
  phase_ = RelayPhase::delivering_before_reset;
  broken_leg_ = broken;
  delivering_since_ = now;
  poll_anew(now);
  // Its kernel queue may still hold what it sent before: read on until it says so itself.
  if (broken == LegName::client) {
    downstream_.abort();
    client_.readable = client_.short_read_proves_nothing = true;
  } else {
    upstream_.abort();
    server_.readable = server_.short_read_proves_nothing = true;
  }
  step(now);
}

// The last bytes written are acknowledged a round trip later, however long those before them took.
template <Endpoint C, Endpoint S>
void Relay<C, S>::poll_anew(MonoTime now) {
  next_poll_ = now;
  poll_step_ = PollStep{1};
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::pass_reset_on_when_delivered(MonoTime now) {
  const LegName sink = other(broken_leg_);
  const bool moved_all = broken_leg_ == LegName::client ? upstream_.ended() : downstream_.ended();
  const std::size_t unsent = sink == LegName::client ? client_.end.unsent() : server_.end.unsent();
  const auto grace = (*timeouts_)[event::TimeoutName::reset_grace];
  if (parked_ && grace) delivering_since_ = now;                     // our observer is what it waits for, not the peer
  const bool expired = !grace || now - delivering_since_ >= *grace;  // mutant: reset-waits-for-ever
  const bool delivered = moved_all && unsent == 0;                   // mutant: linger-0-at-once
  if (!delivered && !expired && !leg_broken(sink)) {
    if (next_poll_ > now) return;
    next_poll_ = now + poll_step_;
    poll_step_ = std::min(PollStep{poll_step_ * 2}, PollStep{256});
    return;
  }
  grace_expired_ = !delivered && !leg_broken(sink);
  if (grace_expired_) left_in_kernel_ = unsent;
  close(cause_of_break(broken_leg_, now), true, now);
}

template <Endpoint C, Endpoint S>
auto Relay<C, S>::cause_of_break(LegName leg, MonoTime now) const -> event::CloseCause {
  using event::CloseReason;
  const bool client = leg == LegName::client;
  const int error = client ? client_.error : server_.error;
  event::CloseCause cause{.leg = leg, .after = age(now)};
  if (error == ECONNRESET || error == EPIPE || error == 0) {
    cause.reason = client ? CloseReason::client_reset : CloseReason::server_reset;
  } else if (error == ETIMEDOUT) {
    // Both of the kernel's clocks say ETIMEDOUT; keepalive runs only while nothing is unacknowledged.
    const std::size_t unacknowledged = client ? client_.end.unsent() : server_.end.unsent();
    const auto user_timeout = (*timeouts_)[event::TimeoutName::tcp_user_timeout];
    if (unacknowledged == 0) {
      cause.reason = CloseReason::keepalive;
      cause.after = clocks_.silence(now);
    } else if (user_timeout) {
      cause.reason = CloseReason::timeout;
      cause.timeout = event::TimeoutName::tcp_user_timeout;
      cause.after = *user_timeout;
    } else {
      cause.reason = client ? CloseReason::client_error : CloseReason::server_error;
    }
  } else if (error == ENOMEM || error == ENOBUFS) {
    cause.reason = CloseReason::resources;  // our own block pool, or our kernel: the peer has done nothing
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
  if (phase_ == RelayPhase::delivering_before_reset) {
    sooner(next_poll_);
    if (const auto grace = (*timeouts_)[event::TimeoutName::reset_grace]) sooner(delivering_since_ + *grace);
  }
  return when;
}

// Bytes wait for us, not for a peer: in a fault's queue, or in the kernel as an observer is slow.
template <Endpoint C, Endpoint S>
auto Relay<C, S>::held_back() const -> bool {
  return parked_ || upstream_.held_by_faults() > 0 || downstream_.held_by_faults() > 0;
}

template <Endpoint C, Endpoint S>
auto Relay<C, S>::deadline() const -> std::optional<MonoTime> {
  return phase_ == RelayPhase::relaying ? clocks_.deadline(*timeouts_) : std::nullopt;
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::on_deadline(MonoTime now) {
  if (phase_ != RelayPhase::relaying) return;
  const auto clock = clocks_.ran_out(*timeouts_, now);
  if (!clock) return;
  event::CloseCause cause{.reason = event::CloseReason::timeout, .timeout = clock->name, .after = clock->value};
  if (!event::says_its_leg(clock->name)) cause.leg = clock->leg;
  // Bytes that will not be delivered are followed by a reset: after a FIN the reader would take the
  // part it got for the whole.
  close(cause, upstream_.undelivered() + downstream_.undelivered() > 0, now);
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::end(const event::CloseCause& cause, bool reset, MonoTime now) {
  if (phase_ != RelayPhase::closed) close(cause, reset, now);
}

// What the kernel has said of the legs and nobody has taken yet goes with their sockets.
template <Endpoint C, Endpoint S>
void Relay<C, S>::tell_last_evidence() {
  if (!relaying_started_) return;
  tell_counters(event::ProbePoint::close);
  const auto take_all = [this](auto& end, LegName leg) {
    const StampWishes wanted = stamps_wanted(events_, leg);
    if (!wanted.sent && !wanted.acknowledged) return;
    while (tell_stamps(end, leg, events_, context_.clock) > 0) {
    }
  };
  take_all(client_.end, LegName::client);
  take_all(server_.end, LegName::server);  // mutant: last-stamps-lost
}

template <Endpoint C, Endpoint S>
void Relay<C, S>::close(const event::CloseCause& cause, bool reset, MonoTime now) {
  (void)contained([this] { tell_last_evidence(); });  // it closes, whether or not there is memory to tell more
  phase_ = RelayPhase::closed;
  cause_ = cause;
  clocks_.ended(now);
  note_parked(false, now);
  // Totals stay readable: abort() gives the bytes back, not the counters.
  upstream_.abort();
  downstream_.abort();
  reset ? client_.end.reset() : client_.end.close();
  reset ? server_.end.reset() : server_.end.close();
}

template <Endpoint C, Endpoint S>
auto Relay<C, S>::totals() const -> std::array<event::DirectionTotals, 2> {
  const auto of = [this](const auto& pump, Direction direction) {
    const std::uint64_t in_kernel = direction == direction_from(broken_leg_) ? left_in_kernel_ : 0;
    return event::DirectionTotals{pump.bytes(), pump.chunks(), pump.undelivered() + in_kernel};
  };
  return {of(upstream_, Direction::upstream), of(downstream_, Direction::downstream)};
}

}  // namespace weir::proxy
