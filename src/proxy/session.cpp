#include "proxy/session.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/duration.h"
#include "proxy/worker.h"

namespace weir::proxy {
namespace {

using event::CloseCause;
using event::CloseReason;
using event::TimeoutName;

constexpr MonoTime never = MonoTime::max();

// Between questions to a Unix listener whose queue is full: doubled from the one to the other.
constexpr Nanos shortest_retry = std::chrono::milliseconds{1};
constexpr Nanos longest_retry = std::chrono::milliseconds{128};

auto after(MonoTime now, std::optional<Nanos> wait) -> MonoTime { return wait ? now + *wait : never; }

auto readiness(std::uint32_t events) -> Readiness {
  return {.readable = (events & EPOLLIN) != 0,
          .writable = (events & EPOLLOUT) != 0,
          .hang_up = (events & (EPOLLRDHUP | EPOLLHUP)) != 0,
          .urgent = (events & EPOLLPRI) != 0,
          .notice = (events & EPOLLERR) != 0};
}

auto reason_of_connect_error(int error) -> CloseReason {
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:  // a Unix path that is not there: nobody listens
      return CloseReason::connect_refused;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ETIMEDOUT: return CloseReason::connect_unreachable;
    default: return CloseReason::connect_failed;
  }
}

}  // namespace

Session::Session(Worker& worker, ProxyOnWorker& proxy, Fd client, Address client_address, SessionNumber number)
    : worker_(worker),
      proxy_(proxy),
      settings_(proxy.settings),
      number_(number),
      accepted_(worker.loop().now()),
      timer_at_(never),
      client_watch_(*this, LegName::client),
      server_watch_(*this, LegName::server),
      client_address_(std::move(client_address)),
      setup_(std::make_unique<Setup>()),
      relay_(worker.context(), settings_->rules.timeouts, Observation{proxy.fanout(), settings_->id, number}) {
  relay_.client().end = SocketEnd(std::move(client), client_address_.is_ip());
}

Session::~Session() = default;

auto Session::now() const -> MonoTime { return worker_.loop().now(); }

auto Session::watch(LegWatch& watch, int fd) -> bool {
  const auto token = worker_.loop().watch(fd, watch, net::EventLoop::stream_events);
  watch.watched = token.has_value();
  if (token) watch.token = *token;
  return watch.watched;
}

void Session::begin() {
  if (!watch(client_watch_, relay_.client().end.fd())) {
    return fail(age_cause(CloseReason::connect_failed), "cannot watch the client's socket");
  }
  if (!held_by_fault(fault::FaultPhase::accept, accepted_)) after_accept();
}

void Session::after_accept() {
  if (settings_->make_preface) {
    setup_->preface = settings_->make_preface();
    phase_ = SessionPhase::preface;
    setup_->phase_deadline = setup_->attempt_deadline = never;
    arm_setup_timer();
    return;  // its first bytes raise an edge
  }
  choose_upstream();
}

void Session::choose_upstream() {
  std::optional<UpstreamAddress> chosen;
  if (setup_->preface) chosen = setup_->preface->upstream();
  const UpstreamAddress upstream = chosen                ? *std::move(chosen)
                                   : settings_->upstream ? settings_->upstream->select(client_address_)
                                                         : settings_->rules.upstream;
  if (const auto* address = std::get_if<Address>(&upstream.target)) return start_connecting({*address});
  phase_ = SessionPhase::resolving;
  setup_->phase_deadline = after(now(), settings_->rules.timeouts[TimeoutName::resolve]);
  setup_->attempt_deadline = never;
  arm_setup_timer();
  setup_->lookup_ticket = worker_.lookup_started(*this);
  worker_.resolver().resolve(std::get<UpstreamAddress::Name>(upstream.target), worker_.loop(),
                             [&worker = worker_, ticket = setup_->lookup_ticket](const Result<net::Addresses>& answer) {
                               worker.lookup_answered(ticket, answer);
                             });
}

void Session::on_resolved(const Result<net::Addresses>& answer) {
  setup_->lookup_ticket = 0;
  if (!answer) return fail(age_cause(CloseReason::resolve_failed), answer.error().message);
  start_connecting(*answer);
}

void Session::start_connecting(net::Addresses addresses) {
  phase_ = SessionPhase::connecting;
  setup_->addresses = std::move(addresses);
  setup_->phase_deadline = after(now(), settings_->rules.timeouts[TimeoutName::connect]);
  if (!held_by_fault(fault::FaultPhase::connect, now())) connect_next();
}

void Session::connect_next() {
  while (setup_->next_address < setup_->addresses.size()) {
    upstream_address_ = setup_->addresses[setup_->next_address++];
    auto attempt = proxy_.sockets->connect(upstream_address_, settings_->rules.stream_options());
    setup_->last_attempt_timed_out = false;
    if (!attempt && attempt.error().code == EAGAIN && upstream_address_.unix_path() != nullptr) {
      // The listener's queue is full: ask again, within the time for one attempt.
      if (setup_->retry_step == Nanos{0}) attempt_in_progress();
      setup_->retry_step = std::clamp<Nanos>(setup_->retry_step * 2, shortest_retry, longest_retry);
      worker_.loop().alarms().set(*this, now() + setup_->retry_step);
      --setup_->next_address;
      return;
    }
    if (!attempt) {
      attempt_failed(attempt.error().code, attempt.error().message);
      continue;
    }
    if (settings_->forbidden && net::leads_to(attempt->fd.get(), upstream_address_, *settings_->forbidden)) {
      attempt_failed(EACCES, fmt::format("{}: Weir's own API is no upstream", upstream_address_.to_string()));
      continue;
    }
    relay_.server() = Leg<SocketEnd>{.end = SocketEnd(std::move(attempt->fd), upstream_address_.is_ip())};
    if (!watch(server_watch_, relay_.server().end.fd())) {
      drop_attempt();
      attempt_failed(ENOMEM, fmt::format("{}: cannot watch the socket", upstream_address_.to_string()));
      continue;
    }
    if (attempt->done) return connected();
    return attempt_in_progress();
  }
  connect_failed();
}

// Sets how long the attempt under way may take: connect.attempt, or a fair share of what connect has
// left, 2 s at least (Go's Dialer does the same), for all but the last address.
void Session::attempt_in_progress() {
  const auto own = settings_->rules.timeouts[TimeoutName::connect_attempt];
  const auto left = static_cast<std::int64_t>(setup_->addresses.size() - setup_->next_address) + 1;
  if (own) {
    setup_->attempt_wait = *own;
    setup_->attempt_deadline = now() + *own;
  } else if (setup_->phase_deadline != never && left > 1) {
    setup_->attempt_wait = std::max<Nanos>((setup_->phase_deadline - now()) / left, std::chrono::seconds{2});
    setup_->attempt_deadline = now() + setup_->attempt_wait;
  } else {
    setup_->attempt_deadline = never;
  }
  arm_setup_timer();
}

void Session::check_connect() {
  const int error = net::connect_outcome(relay_.server().end.fd());
  if (error == EALREADY) return;
  if (error == 0) return connected();
  if (error == ECONNRESET || error == EPIPE) {
    // It was accepted and reset at once: this call consumed what belongs to the first recv.
    relay_.server().break_with(error);
    return connected();
  }
  drop_attempt();
  attempt_failed(error, fmt::format("{}: {}", upstream_address_.to_string(), errno_text(error)));
  connect_next();
}

// The whole leg: what the loop said of this socket is not true of the next one.
void Session::drop_attempt() {
  if (server_watch_.watched) worker_.loop().forget(server_watch_.token);
  server_watch_.watched = false;
  relay_.server() = {};
}

void Session::attempt_failed(int error, const std::string& why) {
  setup_->last_error = error;
  setup_->retry_step = Nanos{0};
  constexpr std::size_t enough = 300;  // of text, where a name has dozens of addresses
  if (setup_->failures.size() < enough) {
    setup_->failures += (setup_->failures.empty() ? "" : "; ") + why;
  }
}

void Session::connect_failed() {
  if (setup_->last_attempt_timed_out) {
    return fail(
        {.reason = CloseReason::timeout, .timeout = TimeoutName::connect_attempt, .after = setup_->attempt_wait},
        setup_->failures);
  }
  fail(age_cause(reason_of_connect_error(setup_->last_error)), setup_->failures);
}

void Session::connected() {
  worker_.loop().alarms().clear(*this);
  const Nanos took = worker_.loop().clock().mono() - accepted_;
  worker_.counters().connect_times.add(took);
  proxy_.counters.add_connect(took);
  Slice prefilled;
  if (!setup_->preface_bytes.empty()) prefilled = worker_.blocks().copy(setup_->preface_bytes);
  setup_.reset();
  phase_ = SessionPhase::relaying;
  if (event::Fanout* fanout = proxy_.fanout(); fanout != nullptr && fanout->wants(event::EventKind::session_opened)) {
    auto opened = std::make_shared<event::SessionOpened>();
    opened->client = client_address_;
    opened->upstream = upstream_address_;
    opened->connect_time = took;
    fanout->push(event::Event{now(), settings_->id, number_, std::move(opened)}, event::EventKind::session_opened);
  }
  apply_faults();
  relay_.start(now(), accepted_, std::move(prefilled));
  settle();
}

void Session::on_leg_ready(LegName leg, std::uint32_t events) {
  if (phase_ == SessionPhase::closing) return;
  relay_.on_ready(leg, readiness(events), now());
  if (phase_ == SessionPhase::relaying) return settle();
  if (leg == LegName::server) {
    check_connect();
    // The news was of the connection too, if it has ended since; while connecting it was only noted.
    if (phase_ == SessionPhase::relaying && (events & (EPOLLHUP | EPOLLERR)) != 0) on_leg_ready(leg, events);
    return;
  }
  if (phase_ == SessionPhase::preface) return read_preface();
  // The client may have gone while we connect. A FIN is its right: it may only be half-closing.
  if ((events & (EPOLLHUP | EPOLLERR)) != 0 && relay_.client().end.dead()) {
    fail(age_cause(CloseReason::client_reset, LegName::client), "before the upstream was reached");
  }
}

// After every step of the relay: what it wants next.
void Session::settle() {
  if (relay_.phase() == RelayPhase::closed) {
    std::string detail = relay_.error() != 0 && relay_.cause().reason != CloseReason::client_reset &&
                                 relay_.cause().reason != CloseReason::server_reset
                             ? errno_text(relay_.error())
                             : std::string();
    if (relay_.grace_expired()) {
      const auto grace = settings_->rules.timeouts[TimeoutName::reset_grace];
      detail += fmt::format("{}passed on when reset_grace ({}) ended", detail.empty() ? "" : "; ",
                            grace ? format_duration(*grace) : "off");
    }
    if (relay_.cause().reason == CloseReason::fault && faults_) detail = faults_->ended_by();
    return finish(std::move(detail));
  }
  if (relay_.wants_rerun()) worker_.loop().run_again(*this);
  if (relay_.parked()) worker_.park(*this);
  if (const auto alarm = relay_.wants_alarm()) worker_.loop().alarms().set(*this, *alarm);
  if (relay_.take_deadline_moved_closer()) {
    const auto deadline = relay_.deadline();
    if (deadline && *deadline < timer_at_) {
      timer_at_ = *deadline;
      worker_.loop().wheel().arm(*this, timer_at_);
    }
  }
}

void Session::on_timer() {
  timer_at_ = never;
  if (phase_ == SessionPhase::closing) return;
  if (phase_ != SessionPhase::relaying) return on_setup_timer();
  relay_.on_deadline(now());
  if (relay_.phase() != RelayPhase::closed) {
    if (const auto deadline = relay_.deadline()) {
      timer_at_ = *deadline;
      worker_.loop().wheel().arm(*this, timer_at_);
    }
  }
  settle();
}

void Session::arm_setup_timer() {
  const MonoTime longest = after(accepted_, settings_->rules.timeouts[TimeoutName::max_duration]);
  const MonoTime deadline = std::min({setup_->phase_deadline, setup_->attempt_deadline, longest});
  if (deadline == never || deadline == timer_at_) return;
  timer_at_ = deadline;
  worker_.loop().wheel().arm(*this, deadline);
}

void Session::on_setup_timer() {
  const auto& timeouts = settings_->rules.timeouts;
  const auto timed_out = [&](TimeoutName name) {
    return CloseCause{.reason = CloseReason::timeout, .timeout = name, .after = timeouts[name].value_or(Nanos{0})};
  };
  if (after(accepted_, timeouts[TimeoutName::max_duration]) <= now()) {
    return fail(timed_out(TimeoutName::max_duration), setup_->failures);
  }
  const bool asked_again = setup_->retry_step.count() > 0;
  const auto no_answer = [&] {
    return fmt::format("{}: {}", upstream_address_.to_string(), asked_again ? "its queue stayed full" : "no answer");
  };
  if (setup_->phase_deadline <= now()) {
    if (phase_ == SessionPhase::resolving) return fail(timed_out(TimeoutName::resolve), "");
    if (setup_->fault_since) return fail(timed_out(TimeoutName::connect), "while a fault delayed it");
    attempt_failed(ETIMEDOUT, no_answer());
    return fail(timed_out(TimeoutName::connect), setup_->failures);
  }
  if (setup_->attempt_deadline <= now()) {
    drop_attempt();
    if (asked_again) ++setup_->next_address;
    attempt_failed(ETIMEDOUT, fmt::format("{} in {}", no_answer(), format_duration(setup_->attempt_wait)));
    setup_->attempt_deadline = never;
    worker_.loop().alarms().clear(*this);
    setup_->last_attempt_timed_out = true;
    return connect_next();
  }
  arm_setup_timer();
}

void Session::on_alarm() {
  if (setup_ && setup_->fault_since) return go_on_after_fault();
  if (phase_ == SessionPhase::connecting) return connect_next();
  if (phase_ != SessionPhase::relaying) return;
  relay_.on_alarm(now());
  settle();
}

void Session::on_rerun() {
  if (phase_ != SessionPhase::relaying) return;
  relay_.rerun(now());
  settle();
}

void Session::resume() { on_rerun(); }

void Session::settings_changed(std::shared_ptr<const ProxySettings> settings) {
  settings_ = std::move(settings);
  relay_.set_timeouts(settings_->rules.timeouts);
  if (phase_ == SessionPhase::relaying) return settle();
  if (phase_ != SessionPhase::closing) arm_setup_timer();
}

auto Session::age_cause(CloseReason reason, std::optional<LegName> leg) const -> CloseCause {
  return {.reason = reason, .leg = leg, .after = now() - accepted_};
}

void Session::fail(CloseCause cause, std::string detail) {
  const bool client_gone = cause.leg == LegName::client;
  if (!client_gone) {
    ++worker_.counters().connect_failures;
    ++proxy_.counters.connect_failures;
  }
  relay_.end(cause, settings_->rules.on_connect_failure == OnConnectFailure::reset, now());
  finish(std::move(detail));
}

void Session::end(const CloseCause& cause, const std::string& detail) {
  if (phase_ == SessionPhase::closing) return;
  relay_.end(cause, true, now());
  finish(detail);
}

void Session::close(const std::string& detail) {
  if (phase_ == SessionPhase::closing) return;
  relay_.end(age_cause(CloseReason::shutdown), false, now());
  finish(detail);
}

void Session::finish(std::string detail) {
  const bool reached = phase_ == SessionPhase::relaying;
  phase_ = SessionPhase::closing;
  if (setup_ && setup_->lookup_ticket != 0) worker_.lookup_abandoned(setup_->lookup_ticket);
  for (LegWatch* watch : {&client_watch_, &server_watch_}) {
    if (watch->watched) worker_.loop().forget(watch->token);
    watch->watched = false;
  }
  worker_.loop().wheel().disarm(*this);
  worker_.loop().alarms().clear(*this);
  worker_.loop().cancel(*this);
  if (event::Fanout* fanout = proxy_.fanout(); fanout != nullptr && fanout->wants(event::EventKind::session_closed)) {
    auto closed = std::make_shared<event::SessionClosed>();
    closed->cause = relay_.cause();
    closed->detail = std::move(detail);
    closed->client = client_address_;
    if (reached) closed->upstream = upstream_address_;
    closed->age = now() - accepted_;
    closed->longest_silence = relay_.longest_silence();
    closed->totals = relay_.totals();
    fanout->push(event::Event{now(), settings_->id, number_, std::move(closed)}, event::EventKind::session_closed);
  }
  worker_.ended(*this);
}

}  // namespace weir::proxy
