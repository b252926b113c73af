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

auto readiness(std::uint32_t events) -> Readiness {
  return {.readable = (events & EPOLLIN) != 0,
          .writable = (events & EPOLLOUT) != 0,
          .hang_up = (events & (EPOLLRDHUP | EPOLLHUP)) != 0,
          .urgent = (events & EPOLLPRI) != 0,
          .notice = (events & EPOLLERR) != 0};
}

}  // namespace

Session::Session(Worker& worker, ProxyOnWorker& proxy, Fd client, Address client_address, SessionNumber number)
    : worker_(worker),
      proxy_(proxy),
      settings_(proxy.settings),
      accepted_(worker.loop().now()),
      timer_at_(never),
      client_watch_(*this, LegName::client),
      server_watch_(*this, LegName::server),
      client_address_(std::move(client_address)),
      relay_(worker.context(), settings_->rules.timeouts,
             event::SessionEvents(&proxy.observers, settings_->id, number)) {
  relay_.client().end = LegEnd(std::move(client), client_address_.is_ip());
  relay_.events().select(client_address_);
}

Session::~Session() = default;

auto Session::handle() const -> SessionHandle {
  return {.worker = worker_.number(), .slot = client_watch_.token.slot, .generation = client_watch_.token.generation};
}

auto Session::now() const -> MonoTime { return worker_.loop().now(); }
auto Session::clock_time() const -> MonoTime { return worker_.loop().clock().mono(); }

auto Session::watch(LegWatch& watch, int fd) -> bool {
  const auto token = worker_.loop().watch(fd, watch, net::EventLoop::stream_events);
  watch.watched = token.has_value();
  if (token) watch.token = *token;
  return watch.watched;
}

void Session::on_leg_ready(LegName leg, std::uint32_t events) {
  if (phase_ == SessionPhase::closing) return;
  relay_.on_ready(leg, readiness(events), now());
  opening_ ? on_ready_in_opening(leg, events) : settle();
}

// After every step of the relay: what it wants next.
void Session::settle() {
  const auto refusers = proxy_.observers.take_refusers();
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
    const fault::FaultSpec* maker = relay_.cause().reason == CloseReason::fault ? relay_.end_maker() : nullptr;
    if (maker != nullptr) detail = maker->name;
    return finish(std::move(detail));
  }
  if (relay_.wants_rerun()) worker_.loop().run_again(*this);
  if (relay_.parked()) worker_.park(*this);
  // Parked and refused by nobody: it has not tried again.
  if (refusers != 0 || (is_held_up_ && !relay_.parked())) {
    worker_.note_held_up(*this, relay_.parked() ? refusers : 0);
  }
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
  guarded([this] {
    if (opening_) return on_time_in_opening();
    relay_.on_deadline(now());
    if (relay_.phase() != RelayPhase::closed) {
      if (const auto deadline = relay_.deadline()) {
        timer_at_ = *deadline;
        worker_.loop().wheel().arm(*this, timer_at_);
      }
    }
    settle();
  });
}

void Session::on_alarm() {
  guarded([this] {
    if (opening_) return on_time_in_opening();
    if (phase_ != SessionPhase::relaying) return;
    relay_.on_alarm(now());
    settle();
  });
}

void Session::relay_again() {
  if (phase_ != SessionPhase::relaying) return;
  relay_.rerun(now());
  settle();
}

void Session::on_rerun() {
  guarded([this] { relay_again(); });
}

void Session::resume() { on_rerun(); }

void Session::settings_changed(std::shared_ptr<const ProxySettings> settings) {
  guarded([&] { take_settings(std::move(settings)); });
}

void Session::take_settings(std::shared_ptr<const ProxySettings> settings) {
  settings_ = std::move(settings);
  relay_.set_timeouts(settings_->rules.timeouts);
  if (phase_ == SessionPhase::relaying) return settle();
  if (opening_) {
    opening_->machine.rules_changed(opening_rules(), now());
    carry_on_opening();
  }
}

auto Session::age_cause(CloseReason reason, std::optional<LegName> leg) const -> CloseCause {
  return {.reason = reason, .leg = leg, .after = now() - accepted_};
}

void Session::end(const CloseCause& cause, const std::string& detail) {
  if (phase_ == SessionPhase::closing) return;
  guarded([&] {
    relay_.end(cause, true, now());
    finish(detail);
  });
}

void Session::close(const std::string& detail) {
  if (phase_ == SessionPhase::closing) return;
  guarded([&] {
    relay_.end(age_cause(CloseReason::shutdown), false, now());
    finish(detail);
  });
}

// In the middle of whatever it was doing. Nothing here needs memory but the words, which are left out then.
void Session::end_for_memory() {
  if (phase_ == SessionPhase::closing) return;
  relay_.end(age_cause(CloseReason::resources), true, now());
  std::string detail;
  (void)contained([&] { detail = errno_text(ENOMEM); });
  finish(std::move(detail));
}

// Once begun it comes to its end, with memory or without.
void Session::finish(std::string detail) {
  const bool reached = phase_ == SessionPhase::relaying;
  phase_ = SessionPhase::closing;
  if (opening_ && opening_->lookup_ticket != 0) worker_.lookup_abandoned(opening_->lookup_ticket);
  if (opening_) (void)contained([this] { tell_attempt(ECANCELED); });
  opening_.reset();
  for (LegWatch* watch : {&client_watch_, &server_watch_}) {
    if (watch->watched) worker_.loop().forget(watch->token);
    watch->watched = false;
  }
  worker_.loop().wheel().disarm(*this);
  worker_.loop().alarms().clear(*this);
  worker_.loop().cancel(*this);
  if (!contained([&] { tell_closed(std::move(detail), reached); })) {
    events().lose(clock_time(), event::EventKind::session_closed);
  }
  worker_.ended(*this);
}

}  // namespace weir::proxy
