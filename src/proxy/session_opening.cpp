// A session from accept to its relay: carries out what its Opening asks for, with the loop and sockets.
#include <fmt/format.h>
#include <sys/epoll.h>

#include <array>
#include <cerrno>

#include "proxy/worker.h"

namespace weir::proxy {

using event::CloseReason;

namespace {

auto phase_of(OpeningPhase phase) -> SessionPhase {
  switch (phase) {
    case OpeningPhase::accepted: return SessionPhase::accepted;
    case OpeningPhase::handshake: return SessionPhase::handshake;
    case OpeningPhase::resolving: return SessionPhase::resolving;
    case OpeningPhase::connecting: return SessionPhase::connecting;
    case OpeningPhase::over: break;
  }
  return SessionPhase::closing;
}

}  // namespace

auto Session::phase() const -> SessionPhase { return opening_ ? phase_of(opening_->machine.phase()) : phase_; }

void Session::begin() {
  guarded([this] { begin_opening(); });
}

void Session::begin_opening() {
  Accepted accepted{.number = number(), .time = accepted_, .client = ClientAddress(client_address_)};
  const int fd = relay_.client().end.fd();
  if (settings_->rules.handshake != nullptr) {
    if (auto local = net::local_address(fd)) accepted.local = LocalAddress(*std::move(local));
    if (auto original = net::original_destination(fd)) {
      accepted.original_destination = OriginalDestination(*std::move(original));
    }
  }
  tell_accepted();
  opening_ = std::make_unique<OpeningRun>(std::move(accepted), opening_rules());
  if (!watch(client_watch_, fd)) {
    return carry_out(Opening::Fail{.cause = age_cause(CloseReason::connect_failed),
                                   .detail = "cannot watch the client's socket",
                                   .reset = settings_->rules.on_connect_failure == OnConnectFailure::reset});
  }
  opening_->machine.begin(now());
  carry_on_opening();
}

auto Session::opening_rules() const -> OpeningRules {
  return {.settings = settings_.get(), .faults = proxy_.faults.get(), .fault_state = proxy_.fault_state.get()};
}

// After every call into the opening: until it has nothing more to ask for.
void Session::carry_on_opening() {
  while (opening_) {
    send_for_handshake();
    if (settings_->rules.handshake != nullptr) show_client(opening_->machine.client().address);
    if (auto command = opening_->machine.next_command()) {
      std::visit([this](auto&& what) { carry_out(std::forward<decltype(what)>(what)); }, *std::move(command));
    } else if (!read_for_handshake(LegName::client) && !read_for_handshake(LegName::server)) {
      break;
    }
  }
  if (!opening_) return;
  const Opening& machine = opening_->machine;
  if (machine.timeout_at() != MonoTime::max() && machine.timeout_at() != timer_at_) {
    timer_at_ = machine.timeout_at();
    worker_.loop().wheel().arm(*this, timer_at_);
  }
  if (machine.alarm_at() != MonoTime::max()) {
    worker_.loop().alarms().set(*this, machine.alarm_at());
  } else {
    worker_.loop().alarms().clear(*this);
  }
}

void Session::carry_out(const Opening::Resolve& what) {
  opening_->lookup_ticket = worker_.lookup_started(*this);
  opening_->lookup_since = worker_.loop().clock().mono();
  worker_.resolver().resolve(what.name, worker_.loop(),
                             [&worker = worker_, ticket = opening_->lookup_ticket](const auto& answer) {
                               worker.lookup_answered(ticket, answer);
                             });
}

void Session::on_resolved(const Result<net::Addresses>& answer) {
  opening_->lookup_ticket = 0;
  tell_resolved(answer);
  opening_->machine.on_resolved(answer, now());
  carry_on_opening();
}

void Session::carry_out(const Opening::Connect& what) {
  using Kind = ConnectOutcome::Kind;
  const bool same_again = opening_->attempt_since && opening_->listener_is_full;
  if (!same_again) tell_attempt(ETIMEDOUT);  // the one before it, if it is still under way
  drop_attempt();
  upstream_address_ = what.to.address;
  if (!same_again) opening_->attempt_since = worker_.loop().clock().mono();
  opening_->attempt_from = what.from ? std::optional(what.from->address) : std::nullopt;
  const Address* from = what.from ? &what.from->address : nullptr;
  auto attempt = proxy_.sockets->connect(upstream_address_, settings_->rules.stream_options(), from);
  const auto outcome = [&]() -> ConnectOutcome {
    if (!attempt) return {Kind::failed, attempt.error().code, attempt.error().message};
    const auto failed = [this](int error, const char* why) -> ConnectOutcome {
      return {Kind::failed, error, fmt::format("{}: {}", upstream_address_.to_string(), why)};
    };
    if (const auto& forbidden = settings_->forbidden;
        forbidden && net::leads_to(attempt->fd.get(), upstream_address_, *forbidden)) {
      return failed(EACCES, "Weir's own API is no upstream");
    }
    relay_.server() = Leg<LegEnd>{.end = LegEnd(std::move(attempt->fd), upstream_address_.is_ip())};
    opening_->upstream.reset();
    if (!watch(server_watch_, relay_.server().end.fd())) return failed(ENOMEM, "cannot watch the socket");
    return {attempt->done ? Kind::connected : Kind::in_progress, 0, {}};
  }();
  // A Unix listener whose queue is full is asked again and again: that is one attempt.
  opening_->listener_is_full = outcome.error == EAGAIN && upstream_address_.unix_path() != nullptr;
  if (outcome.kind != Kind::in_progress && !opening_->listener_is_full) tell_attempt(outcome.error);
  opening_->machine.on_connect(outcome, now());
}

void Session::check_connect() {
  int error = net::connect_outcome(relay_.server().end.fd());
  if (error == EALREADY) return;
  if (error == ECONNRESET || error == EPIPE) {
    // It was accepted and reset at once: this call consumed what belongs to the first recv.
    relay_.server().break_with(error);
    error = 0;
  }
  tell_attempt(error);
  if (error == 0) {
    opening_->machine.on_connect({}, now());
  } else {
    opening_->machine.on_connect(
        {ConnectOutcome::Kind::failed, error, fmt::format("{}: {}", upstream_address_.to_string(), errno_text(error))},
        now());
  }
}

// The whole leg: what the loop said of this socket is not true of the next one.
void Session::drop_attempt() {
  if (server_watch_.watched) worker_.loop().forget(server_watch_.token);
  server_watch_.watched = false;
  relay_.server() = {};
  opening_->upstream.emplace();
}

void Session::on_ready_in_opening(LegName leg, std::uint32_t events) {
  if (leg == LegName::server && opening_->machine.phase() == OpeningPhase::connecting) {
    check_connect();
  } else if (leg == LegName::client && !opening_->machine.reads(leg) && (events & (EPOLLHUP | EPOLLERR)) != 0 &&
             relay_.client().end.dead()) {
    // The client may have gone while we connect. A FIN is its right: it may only be half-closing.
    opening_->machine.on_break(leg, now());
  }
  carry_on_opening();
  // The news was of the connection too, if it has ended since; while connecting it was only noted.
  const bool ended = leg == LegName::server && (events & (EPOLLHUP | EPOLLERR)) != 0;
  if (phase_ == SessionPhase::relaying && ended) on_leg_ready(leg, events);
}

void Session::on_time_in_opening() {
  opening_->machine.on_time(now());
  carry_on_opening();
}

void Session::show_client(const Address& client) {
  if (client == client_address_) return;
  client_address_ = client;
  relay_.events().select(client_address_);
}

// False: the handshake wants nothing of this leg, or there is nothing.
auto Session::read_for_handshake(LegName name) -> bool {
  Opening& machine = opening_->machine;
  Leg<LegEnd>& leg = name == LegName::client ? relay_.client() : relay_.server();
  if (!machine.reads(name)) return false;
  if (leg.broken) return machine.on_break(name, now()), true;
  if (!leg.can_read()) return false;
  std::array<std::byte, 4096> buffer;
  const std::span<std::byte> into = std::span(buffer).first(std::min(buffer.size(), machine.room(name)));
  const ReadResult read = leg.end.read(into);
  switch (read.status) {
    case IoStatus::would_block: leg.read_blocked(); return false;
    case IoStatus::ok: machine.on_bytes(name, into.first(read.bytes), now()); return true;
    case IoStatus::end: machine.on_end(name, now()); return true;  // the relay reads it again
    case IoStatus::broken: break;
  }
  leg.break_with(read.error);
  machine.on_break(name, now());
  return true;
}

void Session::send_for_handshake() {
  Opening& machine = opening_->machine;
  for (const LegName name : {LegName::client, LegName::server}) {
    Leg<LegEnd>& leg = name == LegName::client ? relay_.client() : relay_.server();
    while (!machine.to_send(name).empty() && !leg.broken) {
      const IoResult written = leg.end.write(machine.to_send(name));
      if (written.status == IoStatus::would_block) break;  // an edge will come
      if (written.status == IoStatus::ok) {
        machine.on_sent(name, written.bytes, now());
      } else {
        leg.break_with(written.error);
        machine.on_break(name, now());
      }
    }
  }
}

void Session::carry_out(const Opening::FaultApplies& what) { tell_of(*what.fault); }

void Session::carry_out(const Opening::Fail& what) {
  tell_attempt(ETIMEDOUT);
  if (what.of_upstream) {
    ++worker_.counters().connect_failures;
    ++proxy_.counters.connect_failures;
  }
  relay_.end(what.cause, what.reset, now());
  finish(what.detail);
}

void Session::carry_out(const Opening::Done& what) {
  worker_.loop().alarms().clear(*this);
  const Nanos took = worker_.loop().clock().mono() - accepted_;
  worker_.counters().connect_times.add(took);
  proxy_.counters.add_connect(took);
  opening_.reset();
  phase_ = SessionPhase::relaying;
  tell_opened(took);
  apply_faults();
  const auto read = [&](LegName from) {
    const auto& bytes = what.read[index(from)];
    return bytes.empty() ? Slice{} : worker_.blocks().copy(bytes);
  };
  relay_.start(now(), accepted_, read(LegName::client), read(LegName::server));
  settle();
}

}  // namespace weir::proxy
