#include "proxy/opening.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "base/duration.h"

namespace weir::proxy {
namespace {

using event::CloseCause;
using event::CloseReason;
using event::TimeoutName;
using fault::FaultPhase;

// Between questions to a Unix listener whose queue is full: doubled from the one to the other.
constexpr Nanos shortest_retry = std::chrono::milliseconds{1};
constexpr Nanos longest_retry = std::chrono::milliseconds{128};
// However little of `connect` is left for one address of several (Go's Dialer does the same).
constexpr Nanos shortest_attempt = std::chrono::seconds{2};
// Of text about failed attempts, where a name has dozens of addresses.
constexpr std::size_t enough_text = 300;

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

Opening::Opening(Accepted accepted, const OpeningRules& rules)
    : rules_(rules), accepted_(std::move(accepted)), client_(accepted_.client) {}

Opening::~Opening() = default;

void Opening::begin(MonoTime now) {
  now_ = now;
  if (!held_by_fault(FaultPhase::accept, accepted_.time)) after_accept();
}

void Opening::after_accept() {
  const HandshakeInfo* handshake = rules_.settings->rules.handshake;
  if (handshake == nullptr) return connect(std::nullopt, std::nullopt);
  handshake_ = handshake->make();
  phase_ = OpeningPhase::handshake;
  handshake_->on_accepted(*this);
  after_handshake_call();
}

auto Opening::next_command() -> std::optional<Command> {
  if (!faults_to_tell_.empty()) {
    const FaultApplies told{faults_to_tell_.front()};
    faults_to_tell_.erase(faults_to_tell_.begin());
    return told;
  }
  return std::exchange(command_, std::nullopt);
}

// --- the handshake ---

auto Opening::reads(LegName from) const -> bool {
  if (phase_ != OpeningPhase::handshake || handshake_done_ || ended_[index(from)]) return false;
  return from == LegName::client || connected_;
}

void Opening::on_bytes(LegName from, std::span<const std::byte> bytes, MonoTime now) {
  now_ = now;
  if (!reads(from)) return;
  auto& inbox = inbox_[index(from)];
  inbox.insert(inbox.end(), bytes.begin(), bytes.end());
  handshake_->on_bytes(*this, from);
  after_handshake_call();
}

void Opening::on_end(LegName from, MonoTime now) {
  now_ = now;
  if (!reads(from)) return;
  ended_[index(from)] = true;
  handshake_->on_end(*this, from);
}

void Opening::after_handshake_call() {
  for (const LegName leg : {LegName::client, LegName::server}) {
    if (!reads(leg) || room(leg) > 0) continue;
    const bool client = leg == LegName::client;
    return fail(client ? CloseReason::client_error : CloseReason::server_error, leg, "its handshake does not end");
  }
}

void Opening::on_break(LegName leg, MonoTime now) {
  now_ = now;
  if (phase_ == OpeningPhase::over) return;
  const bool client = leg == LegName::client;
  const bool in_handshake = phase_ == OpeningPhase::handshake;
  fail_with(age_cause(client ? CloseReason::client_reset : CloseReason::server_reset, leg),
            in_handshake ? "before its handshake was complete" : "before the upstream was reached");
}

void Opening::consume(LegName from, std::size_t bytes) {
  auto& inbox = inbox_[index(from)];
  inbox.erase(inbox.begin(), inbox.begin() + static_cast<std::ptrdiff_t>(std::min(bytes, inbox.size())));
}

void Opening::send(LegName to, std::span<const std::byte> bytes) {
  if (to == LegName::server && !connected_) return;
  if (to == LegName::client) client_was_told_ = true;
  auto& outbox = outbox_[index(to)];
  outbox.insert(outbox.end(), bytes.begin(), bytes.end());
}

void Opening::on_sent(LegName to, std::size_t bytes, MonoTime now) {
  now_ = now;
  auto& outbox = outbox_[index(to)];
  outbox.erase(outbox.begin(), outbox.begin() + static_cast<std::ptrdiff_t>(std::min(bytes, outbox.size())));
  done_when_all_is_sent();
}

void Opening::fail(CloseReason reason, std::optional<LegName> leg, std::string detail) {
  fail_with(age_cause(reason, leg), std::move(detail));
}

void Opening::done() {
  if (!connected_ || phase_ == OpeningPhase::over) return;
  handshake_done_ = true;
  handshake_clock_.reset();
  done_when_all_is_sent();
}

void Opening::done_when_all_is_sent() {
  // mutant: stream-overtakes-the-handshake
  if (!handshake_done_ || phase_ == OpeningPhase::over || !outbox_[0].empty() || !outbox_[1].empty()) return;
  phase_ = OpeningPhase::over;
  command_ = Done{std::move(inbox_)};
}

// --- the upstream ---

void Opening::connect(std::optional<UpstreamTarget> target, std::optional<SourceAddress> source) {
  if (std::exchange(upstream_chosen_, true) || phase_ == OpeningPhase::over) return;
  source_ = std::move(source);
  const UpstreamAddress& chosen = target ? target->to : rules_.settings->rules.upstream;
  if (const auto* address = std::get_if<Address>(&chosen.target)) return start_connecting({*address});
  phase_ = OpeningPhase::resolving;
  clock_ = Clock{TimeoutName::resolve, now_};
  command_ = Resolve{std::get<UpstreamAddress::Name>(chosen.target)};
}

void Opening::on_resolved(const Result<net::Addresses>& answer, MonoTime now) {
  now_ = now;
  if (phase_ != OpeningPhase::resolving) return;  // mutant: late-lookup-connects
  if (!answer) return fail_with(age_cause(CloseReason::resolve_failed), answer.error().message);
  start_connecting(*answer);
}

void Opening::start_connecting(net::Addresses addresses) {
  phase_ = OpeningPhase::connecting;
  addresses_ = std::move(addresses);
  clock_ = Clock{TimeoutName::connect, now_};
  if (!held_by_fault(FaultPhase::connect, now_)) connect_next();
}

void Opening::connect_next() {
  if (next_address_ == addresses_.size()) return all_attempts_failed();
  last_attempt_timed_out_ = false;
  server_ = ServerAddress(addresses_[next_address_]);
  command_ = Connect{*server_, source_};
}

void Opening::on_connect(const ConnectOutcome& outcome, MonoTime now) {
  now_ = now;
  if (phase_ != OpeningPhase::connecting) return;
  if (outcome.kind == ConnectOutcome::Kind::connected) return connected();
  if (outcome.kind == ConnectOutcome::Kind::in_progress) return attempt_in_progress();
  if (outcome.error == EAGAIN && server_->address.unix_path() != nullptr) return listener_is_full();
  attempt_failed(outcome.error, outcome.text);
  connect_next();
}

void Opening::connected() {
  connected_ = true;
  clock_.reset();
  attempt_until_ = alarm_at_ = never;
  if (!handshake_) {
    handshake_done_ = true;
    return done_when_all_is_sent();
  }
  phase_ = OpeningPhase::handshake;
  handshake_->on_connected(*this, *server_);
  after_handshake_call();
}

// Sets how long the attempt under way may take: connect.attempt, or a fair share of what connect has left
// for all but the last address.
void Opening::attempt_in_progress() {
  const auto own = timeouts()[TimeoutName::connect_attempt];
  const auto left = static_cast<std::int64_t>(addresses_.size() - next_address_);
  const MonoTime end = runs_out_at(clock_);
  attempt_until_ = never;
  if (own) {
    attempt_wait_ = *own;
  } else if (end != never && left > 1) {
    attempt_wait_ = std::max<Nanos>((end - now_) / left, shortest_attempt);
  } else {
    return;
  }
  attempt_until_ = now_ + attempt_wait_;
}

// Asks again, within the time for one attempt.
void Opening::listener_is_full() {
  if (retry_step_ == Nanos{0}) attempt_in_progress();
  retry_step_ = std::clamp<Nanos>(retry_step_ * 2, shortest_retry, longest_retry);
  alarm_at_ = now_ + retry_step_;
}

void Opening::attempt_failed(int error, const std::string& why) {
  ++next_address_;
  last_error_ = error;
  retry_step_ = Nanos{0};
  attempt_until_ = alarm_at_ = never;
  if (failures_.size() < enough_text) failures_ += (failures_.empty() ? "" : "; ") + why;
}

void Opening::all_attempts_failed() {
  CloseCause cause = age_cause(reason_of_connect_error(last_error_));
  if (last_attempt_timed_out_) {
    cause = {.reason = CloseReason::timeout, .timeout = TimeoutName::connect_attempt, .after = attempt_wait_};
  }
  fail_with(cause, failures_);
}

// --- faults ---

auto Opening::held_by_fault(FaultPhase phase, MonoTime since) -> bool {
  if (rules_.faults == nullptr || rules_.faults->empty()) return false;
  const auto found = fault::phase_fault(*rules_.faults, phase, *rules_.fault_state, fault_key());
  fault::count_phase(*rules_.faults, phase, *rules_.fault_state, fault_key(),
                     [this](const fault::FaultSpec& spec) { faults_to_tell_.push_back(&spec); });
  if (found.refuse) {
    refuse(found.name);
    return true;
  }
  if (found.delay <= Nanos{0}) return false;
  fault_since_ = since;
  alarm_at_ = since + found.delay;
  return true;
}

void Opening::go_on_after_fault() {
  fault_since_.reset();
  alarm_at_ = never;
  phase_ == OpeningPhase::accepted ? after_accept() : connect_next();
}

// RST, whatever on_connect_failure says: that is what the fault is for.
void Opening::refuse(const std::string& fault) {
  phase_ = OpeningPhase::over;
  command_ = Fail{age_cause(CloseReason::fault), fault, true, false};  // mutant: refuse-is-no-reset
}

void Opening::rules_changed(const OpeningRules& rules, MonoTime now) {
  now_ = now;
  rules_ = rules;
  if (phase_ == OpeningPhase::over || !fault_since_) return;
  fault::PhaseFault found;
  const FaultPhase phase = phase_ == OpeningPhase::accepted ? FaultPhase::accept : FaultPhase::connect;
  if (rules_.faults != nullptr) {
    found = fault::phase_fault(*rules_.faults, phase, *rules_.fault_state, fault_key());
  }
  if (found.refuse) return refuse(found.name);
  alarm_at_ = *fault_since_ + found.delay;
  if (alarm_at_ <= now) go_on_after_fault();
}

// --- time ---

auto Opening::runs_out_at(TimeoutName name, MonoTime since) const -> MonoTime {
  const auto value = timeouts()[name];
  return value ? since + *value : never;
}

auto Opening::timeout_at() const -> MonoTime {
  if (phase_ == OpeningPhase::over) return never;
  return std::min({runs_out_at(TimeoutName::max_duration, accepted_.time), runs_out_at(clock_),
                   runs_out_at(handshake_clock_), attempt_until_});
}

void Opening::on_time(MonoTime now) {
  now_ = now;
  if (phase_ == OpeningPhase::over) return;
  const MonoTime timeout = timeout_at();
  if (alarm_at_ <= now && alarm_at_ <= timeout) {
    if (fault_since_) return go_on_after_fault();
    alarm_at_ = never;
    return connect_next();
  }
  if (timeout <= now) time_out();
}

void Opening::time_out() {
  if (runs_out_at(TimeoutName::max_duration, accepted_.time) <= now_) {
    return fail_with(timed_out(TimeoutName::max_duration), failures_);
  }
  if (runs_out_at(handshake_clock_) <= now_) {
    CloseCause cause = timed_out(handshake_clock_->name);
    if (event::timeout_catalog()[static_cast<std::size_t>(cause.timeout)].blames == event::Blame::client) {
      cause.leg = LegName::client;
    }
    return fail_with(cause, "before its handshake was complete");
  }
  if (runs_out_at(clock_) <= now_) {
    if (phase_ == OpeningPhase::resolving) return fail_with(timed_out(TimeoutName::resolve), "");
    if (fault_since_) return fail_with(timed_out(TimeoutName::connect), "while a fault delayed it");
    attempt_failed(ETIMEDOUT, no_answer());
    return fail_with(timed_out(TimeoutName::connect), failures_);
  }
  attempt_failed(ETIMEDOUT, fmt::format("{} in {}", no_answer(), format_duration(attempt_wait_)));
  last_attempt_timed_out_ = true;
  connect_next();
}

auto Opening::timed_out(TimeoutName name) const -> CloseCause {
  return {.reason = CloseReason::timeout, .timeout = name, .after = timeouts()[name].value_or(Nanos{0})};
}

auto Opening::age_cause(CloseReason reason, std::optional<LegName> leg) const -> CloseCause {
  return {.reason = reason, .leg = leg, .after = now_ - accepted_.time};
}

auto Opening::no_answer() const -> std::string {
  const char* what = retry_step_ > Nanos{0} ? "its queue stayed full" : "no answer";
  return fmt::format("{}: {}", server_->address.to_string(), what);
}

void Opening::fail_with(CloseCause cause, std::string detail) {
  if (phase_ == OpeningPhase::over) return;
  phase_ = OpeningPhase::over;
  const bool of_upstream = cause.leg != LegName::client;
  if (handshake_ && upstream_chosen_ && !connected_ && of_upstream) handshake_->on_connect_failed(*this, cause);
  // RST would discard what the client was told.
  // mutant: reset-discards-a-last-word
  const bool reset = !client_was_told_ && rules_.settings->rules.on_connect_failure == OnConnectFailure::reset;
  command_ = Fail{cause, std::move(detail), reset, of_upstream};
}

}  // namespace weir::proxy
