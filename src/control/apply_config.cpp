// From what one configuration file said to what another says. See config.h.
#include <algorithm>

#include "control/config.h"
#include "control/registry.h"

namespace weir::control {
namespace {

void put_faults(Registry& registry, const ProxyEntry& entry, const ProxyDefinition& wanted) {
  auto entries = wanted.faults.entries();
  for (const auto& spec : entry.faults->entries()) {
    const bool from_api = entry.fault_marks.at(spec->name).owner == Owner::api;
    if (from_api && wanted.faults.find(spec->name) == nullptr) entries.push_back(spec);
  }
  const std::string name = wanted.name;
  registry.set_faults(name, fault::FaultList(std::move(entries), entry.faults->revision() + 1),
                      {"fault.changed", name, "", 0});
  for (const auto& spec : wanted.faults.entries()) registry.mark_fault(name, spec->name, {.owner = Owner::config});
}

// What is in force, with the settings that the file changed: those that the API changed since stay, and so does the
// port that the kernel picked for a listener that the file says nothing new of.
auto changed_rules(const ProxyEntry& entry, const proxy::ProxyRules& was, const proxy::ProxyRules& is)
    -> proxy::ProxyRules {
  proxy::ProxyRules rules = entry.rules;
  for (const auto& setting : proxy::setting_catalog()) {
    if (!proxy::same(setting, was, is)) proxy::copy(setting, is, rules);
  }
  return rules;
}

// False: it could not be done, and the log says why.
auto apply_proxy(const ProxyDefinition* before, const ProxyDefinition& wanted, Registry& registry, Log& log) -> bool {
  const std::string& name = wanted.name;
  const ProxyEntry* entry = registry.find(name);
  const auto tell = [&](const Refusal& why) {
    log.error(fmt::format("proxy {}: {}; SIGHUP tries it again", name, why.message));
    return false;
  };
  const bool other_faults = before == nullptr || !fault::same(before->faults, wanted.faults);
  const bool other_rules = before == nullptr || !proxy::same(before->rules, wanted.rules);
  if (entry == nullptr) {
    if (!other_faults && !other_rules) return true;  // removed through the API since
    const auto made = registry.create(name, wanted.rules, std::make_shared<fault::FaultList>(wanted.faults),
                                      {.owner = Owner::config});
    return made.has_value() || tell(made.error());
  }
  if (before == nullptr) return tell({.message = "the API made a proxy of this name meanwhile"});
  if (entry->mark.owner != Owner::config) return true;  // the API made another since
  bool done = true;
  if (other_rules) {
    const auto changed = registry.change(name, changed_rules(*entry, before->rules, wanted.rules));
    done = changed.has_value() || tell(changed.error());
    // It made way and cannot go on: it stays where it was, unless another has come there.
    if (!done && !entry->listening) (void)registry.change(name, entry->rules);
  }
  if (other_faults) put_faults(registry, *entry, wanted);
  return done;
}

auto by_name(const Config& config) -> std::unordered_map<std::string_view, const ProxyDefinition*> {
  std::unordered_map<std::string_view, const ProxyDefinition*> all;
  for (const ProxyDefinition& proxy : config.proxies) all.emplace(proxy.name, &proxy);
  return all;
}

auto find_in(const std::unordered_map<std::string_view, const ProxyDefinition*>& all, std::string_view name)
    -> const ProxyDefinition* {
  const auto found = all.find(name);
  return found == all.end() ? nullptr : found->second;
}

}  // namespace

ConfigChange::ConfigChange(const Config& before, Config after, Registry& registry, Log& log)
    : before_(before),
      after_(std::move(after)),
      registry_(registry),
      log_(log),
      proxies_before_(by_name(before_)),
      proxies_after_(by_name(after_)) {
  for (const ProxyDefinition& proxy : after_.proxies) {
    const ProxyDefinition* former = find_in(proxies_before_, proxy.name);
    const bool listened = former != nullptr && former->rules.enabled && former->rules.listen == proxy.rules.listen;
    if (proxy.rules.enabled && !listened) newcomers_.push_back(&proxy);
  }
}

auto ConfigChange::step() -> bool {
  switch (phase_) {
    case Phase::checking:
      if (at_ == after_.proxies.size()) {
        next_phase(Phase::removing);
      } else if (!check(after_.proxies[at_++])) {
        next_phase(Phase::done);
      }
      break;
    case Phase::removing:
      if (at_ == before_.proxies.size()) {
        next_phase(Phase::making_way);
      } else {
        remove(before_.proxies[at_++]);
      }
      break;
    case Phase::making_way:
      if (at_ == after_.proxies.size()) {
        next_phase(Phase::applying);
      } else {
        make_way(after_.proxies[at_++]);
      }
      break;
    case Phase::applying:
      if (at_ == after_.proxies.size()) {
        after_.proxies = std::move(applied_);
        next_phase(Phase::done);
      } else {
        apply(after_.proxies[at_++]);
      }
      break;
    case Phase::done: break;
  }
  return phase_ != Phase::done;
}

void ConfigChange::next_phase(Phase phase) {
  phase_ = phase;
  at_ = 0;
}

auto ConfigChange::check(const ProxyDefinition& proxy) -> bool {
  if (registry_.find(proxy.name) == nullptr || find_in(proxies_before_, proxy.name) != nullptr) return true;
  refused_ =
      Error{fmt::format("proxy {}: the API made a proxy of this name; remove it, or take another name", proxy.name)};
  return false;
}

void ConfigChange::remove(const ProxyDefinition& proxy) {
  const ProxyEntry* entry = registry_.find(proxy.name);
  if (entry == nullptr || entry->mark.owner != Owner::config) return;
  if (find_in(proxies_after_, proxy.name) == nullptr) registry_.remove(proxy.name);
}

// A proxy that leaves its address leaves it before another comes there, whichever of them stands first in the file: two
// may swap theirs.
void ConfigChange::make_way(const ProxyDefinition& proxy) {
  const ProxyDefinition* former = find_in(proxies_before_, proxy.name);
  const ProxyEntry* entry = registry_.find(proxy.name);
  if (former == nullptr || entry == nullptr || entry->mark.owner != Owner::config || !entry->listening) return;
  const bool leaves = !proxy.rules.enabled || former->rules.listen != proxy.rules.listen;
  const bool is_waited_for = std::ranges::any_of(newcomers_, [&](const ProxyDefinition* other) {
    return other != &proxy && collide(other->rules.listen, entry->rules.listen);
  });
  if (leaves && is_waited_for) registry_.make_way(proxy.name);
}

void ConfigChange::apply(ProxyDefinition& proxy) {
  const ProxyDefinition* former = find_in(proxies_before_, proxy.name);
  if (apply_proxy(former, proxy, registry_, log_)) {
    applied_.push_back(proxy);
  } else if (former != nullptr) {
    applied_.push_back(*former);
  }
}

}  // namespace weir::control
