// From what one configuration file said to what another says. See config.h.
#include <algorithm>

#include "control/config.h"
#include "control/registry.h"

namespace weir::control {
namespace {

auto find_proxy(const Config& config, const std::string& name) -> const ProxyDefinition* {
  const auto found = std::ranges::find(config.proxies, name, &ProxyDefinition::name);
  return found == config.proxies.end() ? nullptr : &*found;
}

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
    const auto made = registry.create(name, wanted.rules, nullptr, {.owner = Owner::config});
    if (!made) return tell(made.error());
    put_faults(registry, **made, wanted);
    return true;
  }
  if (before == nullptr || entry->mark.owner != Owner::config) return true;  // the API made another since
  bool done = true;
  if (other_rules) {
    const auto changed = registry.change(name, changed_rules(*entry, before->rules, wanted.rules));
    done = changed.has_value() || tell(changed.error());
  }
  if (other_faults) put_faults(registry, *entry, wanted);
  return done;
}

}  // namespace

auto apply_config(const Config& before, Config& after, Registry& registry, Log& log) -> Result<void> {
  for (const ProxyDefinition& proxy : after.proxies) {
    const ProxyEntry* entry = registry.find(proxy.name);
    if (entry != nullptr && find_proxy(before, proxy.name) == nullptr) {
      return failure(
          fmt::format("proxy {}: the API made a proxy of this name; remove it, or take another name", proxy.name));
    }
  }
  for (const ProxyDefinition& proxy : before.proxies) {
    const ProxyEntry* entry = registry.find(proxy.name);
    if (entry != nullptr && entry->mark.owner == Owner::config && find_proxy(after, proxy.name) == nullptr) {
      registry.remove(proxy.name);
    }
  }
  std::vector<ProxyDefinition> applied;
  for (ProxyDefinition& proxy : after.proxies) {
    const ProxyDefinition* former = find_proxy(before, proxy.name);
    if (apply_proxy(former, proxy, registry, log)) {
      applied.push_back(std::move(proxy));
    } else if (former != nullptr) {
      applied.push_back(*former);
    }
  }
  after.proxies = std::move(applied);
  return {};
}

}  // namespace weir::control
