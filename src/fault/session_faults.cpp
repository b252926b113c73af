#include "fault/session_faults.h"

#include <algorithm>

namespace weir::fault {
namespace {

auto applies(const FaultSpec& spec, FaultPhase phase, const ProxyFaults& proxy, const SessionKey& key) -> bool {
  return spec.type->phase == phase && proxy.applies(spec, key.number, key.client);
}

// What a fault's stages were made of: with another of these it is another fault of the same name.
auto same_fault(const FaultSpec& a, const FaultSpec& b) -> bool {
  return a.name == b.name && a.type == b.type && a.direction == b.direction && a.scope == b.scope &&
         a.selector.on == b.selector.on;
}

}  // namespace

auto SessionFaults::choose(const FaultList& list, const SessionKey& key) -> Change {
  Change change;
  std::vector<std::unique_ptr<SessionFault>> before = std::exchange(faults_, {});
  faults_.reserve(list.entries().size());
  for (const auto& spec : list.entries()) {
    if (!applies(*spec, FaultPhase::stream, proxy_, key)) continue;
    const auto old = std::ranges::find_if(
        before, [&](const auto& each) { return each != nullptr && same_fault(*each->spec, *spec); });
    if (old != before.end()) {
      if ((*old)->spec != spec) change.changed.push_back(old->get());
      (*old)->spec = spec;
      faults_.push_back(std::move(*old));
      continue;
    }
    auto fault = std::make_unique<SessionFault>();
    fault->spec = spec;
    if (on_began_) fault->on_began = &on_began_;
    if (spec->type->shares && spec->scope != FaultScope::session) {
      fault->scope = proxy_.shared_state(*spec, key.client);
    }
    fault->counters = proxy_.counters(*spec);
    for (const Direction direction : {Direction::upstream, Direction::downstream}) {
      fault->draws[index(direction)] = proxy_.draws(*spec, key.number, direction);
    }
    faults_.push_back(std::move(fault));
  }
  for (auto& each : before) {
    if (each != nullptr) change.gone.push_back(std::move(each));
  }
  choose_framings(change);
  return change;
}

// A framer stays while a fault names it, so that it goes on where it is.
void SessionFaults::choose_framings(Change& change) {
  const auto is_named = [](const auto& fault) { return fault->spec->selector.on != nullptr; };
  if (std::ranges::none_of(faults_, is_named)) {
    change.framings_gone = std::move(framings_);
    return;
  }
  if (framings_ == nullptr) framings_ = std::make_unique<Framings::element_type>();
  for (const auto& fault : faults_) {
    const protocol::FramerInfo* info = fault->spec->selector.on;
    const auto is_it = [info](const auto& each) { return &each->info() == info; };
    if (info != nullptr && std::ranges::none_of(*framings_, is_it)) {
      framings_->push_back(std::make_unique<Framing>(*info));
    }
  }
  change.framings_gone = std::make_unique<Framings::element_type>();
  for (auto& framing : *framings_) {
    const auto names_it = [&](Direction direction) {
      return std::ranges::any_of(faults_, [&](const auto& fault) {
        return fault->spec->selector.on == &framing->info() && fault->spec->covers(direction);
      });
    };
    const bool up = names_it(Direction::upstream);
    const bool down = names_it(Direction::downstream);
    const bool both = framing->info().needs_both && (up || down);
    framing->set_watches(Direction::upstream, up || both);
    framing->set_watches(Direction::downstream, down || both);
    if (!up && !down) change.framings_gone->push_back(std::move(framing));
  }
  std::erase(*framings_, nullptr);
}

auto SessionFaults::in(Direction direction) const -> std::vector<SessionFault*> {
  std::vector<SessionFault*> found;
  for (const auto& fault : faults_) {
    if (fault->spec->covers(direction)) found.push_back(fault.get());
  }
  return found;
}

auto SessionFaults::names() const -> std::vector<std::string> {
  std::vector<std::string> names;
  for (const auto& fault : faults_) {
    if (fault->counted) names.push_back(fault->spec->name);
  }
  return names;
}

auto any_applies(const FaultList& list, const ProxyFaults& proxy, const SessionKey& key) -> bool {
  return std::ranges::any_of(list.entries(),
                             [&](const auto& spec) { return applies(*spec, FaultPhase::stream, proxy, key); });
}

auto phase_fault(const FaultList& list, FaultPhase phase, const ProxyFaults& proxy, const SessionKey& key)
    -> PhaseFault {
  PhaseFault found;
  for (const auto& spec : list.entries()) {
    if (!applies(*spec, phase, proxy, key)) continue;
    if (spec->type->refuses) {
      found.refuse = true;
      found.name = spec->name;
      return found;
    }
    found.delay += spec->time("delay");
  }
  return found;
}

void count_phase(const FaultList& list, FaultPhase phase, ProxyFaults& proxy, const SessionKey& key,
                 const std::function<void(const FaultSpec&)>& tell) {
  for (const auto& spec : list.entries()) {
    if (!applies(*spec, phase, proxy, key)) continue;
    proxy.counters(*spec)->sessions.fetch_add(1, std::memory_order_relaxed);
    if (tell) tell(*spec);
    if (spec->type->refuses) return;
  }
}

}  // namespace weir::fault
