// What faults do to a session's bytes, in the pumps' chains. Those of its first phases: opening.h.
#include "proxy/worker.h"

namespace weir::proxy {

void Session::faults_changed(bool at_once) {
  if (phase_ == SessionPhase::closing) return;
  guarded([this, at_once] {
    if (phase_ == SessionPhase::relaying) {
      apply_faults();
      return at_once ? relay_again() : worker_.loop().run_again(*this);
    }
    opening_->machine.rules_changed(opening_rules(), now());
    carry_on_opening();
  });
}

void Session::tell_of(const fault::FaultSpec& spec) const {
  if (!events().wants(event::EventKind::fault_began)) return;
  auto told = std::make_shared<const event::FaultBegan>(
      event::FaultBegan{.fault = spec.name, .type = std::string(spec.type->type)});
  events().push(clock_time(), event::EventKind::fault_began, std::move(told));
}

void Session::apply_faults() {
  if (!faults_) {
    if (!proxy_.has_faults() || !fault::any_applies(*proxy_.faults, *proxy_.fault_state, fault_key())) return;
    faults_ = std::make_unique<fault::SessionFaults>(*proxy_.fault_state,
                                                     [this](const fault::FaultSpec& spec) { tell_of(spec); });
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
