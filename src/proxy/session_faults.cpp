// What faults do to a session: those of its first phases here, those of its bytes in the pumps' chains.
#include "proxy/worker.h"

namespace weir::proxy {

using event::CloseReason;
using fault::FaultPhase;

auto Session::held_by_fault(FaultPhase phase, MonoTime since) -> bool {
  if (!proxy_.has_faults()) return false;
  const auto found = fault::phase_fault(*proxy_.faults, phase, *proxy_.fault_state, fault_key());
  fault::count_phase(*proxy_.faults, phase, *proxy_.fault_state, fault_key(), [this](const fault::FaultSpec& spec) {
    if (tells_of_faults()) tell_of(spec, now());
  });
  if (found.refuse) {
    refuse(found.name);
    return true;
  }
  if (found.delay <= Nanos{0}) return false;
  setup_->fault_since = since;
  setup_->fault_until = since + found.delay;
  if (phase == FaultPhase::accept) setup_->phase_deadline = MonoTime::max();
  setup_->attempt_deadline = MonoTime::max();
  worker_.loop().alarms().set(*this, setup_->fault_until);
  arm_setup_timer();
  return true;
}

void Session::go_on_after_fault() {
  if (setup_->fault_until > now()) return worker_.loop().alarms().set(*this, setup_->fault_until);
  setup_->fault_since.reset();
  phase_ == SessionPhase::accepted ? after_accept() : connect_next();
}

// RST, whatever on_connect_failure says: that is what the fault is for.
void Session::refuse(const std::string& fault) {
  relay_.end(age_cause(CloseReason::fault), true, now());
  finish(fault);
}

void Session::faults_changed() {
  if (phase_ == SessionPhase::closing) return;
  if (phase_ == SessionPhase::relaying) {
    apply_faults();
    return on_rerun();
  }
  if (!setup_->fault_since) return;
  const FaultPhase phase = phase_ == SessionPhase::accepted ? FaultPhase::accept : FaultPhase::connect;
  const auto found = fault::phase_fault(*proxy_.faults, phase, *proxy_.fault_state, fault_key());
  if (found.refuse) return refuse(found.name);
  setup_->fault_until = *setup_->fault_since + found.delay;
  go_on_after_fault();
}

auto Session::tells_of_faults() const -> bool {
  const event::Fanout* fanout = proxy_.fanout();
  return fanout != nullptr && fanout->wants(event::EventKind::fault_began);
}

void Session::tell_of(const fault::FaultSpec& spec, MonoTime when) {
  auto told = std::make_shared<const event::FaultBegan>(
      event::FaultBegan{.fault = spec.name, .type = std::string(spec.type->type)});
  proxy_.fanout()->push({when, settings_->id, number_, std::move(told)}, event::EventKind::fault_began);
}

void Session::apply_faults() {
  if (!faults_) {
    if (!proxy_.has_faults() || !fault::any_applies(*proxy_.faults, *proxy_.fault_state, fault_key())) return;
    fault::OnBegan on_began;
    if (tells_of_faults()) on_began = [this](const fault::FaultSpec& spec, MonoTime when) { tell_of(spec, when); };
    faults_ = std::make_unique<fault::SessionFaults>(*proxy_.fault_state, std::move(on_began));
  }
  const auto change = faults_->choose(*proxy_.faults, fault_key());
  const auto apply = [&](auto& pump, Direction direction) {
    pump.set_faults({.direction = direction,
                     .blocks = worker_.blocks(),
                     .accepted = accepted_,
                     .offset = pump.bytes(),
                     .queue_limit = settings_->rules.fault_queue_limit,
                     .budget = proxy_.fault_budget,
                     .framings = &faults_->framings()},
                    faults_->in(direction), change.changed, now());
  };
  apply(relay_.upstream(), Direction::upstream);
  apply(relay_.downstream(), Direction::downstream);
}

auto Session::fault_names() const -> std::vector<std::string> {
  return faults_ ? faults_->names() : std::vector<std::string>{};
}

}  // namespace weir::proxy
