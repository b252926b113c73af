// Holds on proxies, and what goes with a lease. See registry.h.
#include <algorithm>

#include "control/registry.h"

namespace weir::control {

auto Registry::open_if_free(ProxyEntry& entry) -> Outcome<void> {
  if (entry.listening || !entry.holds.empty()) return {};
  entry.kept_port.release();
  if (!entry.rules.enabled) return {};
  return open(entry);
}

auto Registry::hold(std::string_view name, Hold hold) -> Outcome<void> {
  thread_.check("control::Registry");
  ProxyEntry& entry = proxies_.find(name)->second;
  if (std::ranges::find(entry.holds, hold.id, &Hold::id) != entry.holds.end()) {
    return refuse(RefusalKind::conflict, fmt::format("this proxy has a hold \"{}\" already", hold.id));
  }
  entry.holds.push_back(std::move(hold));
  if (entry.listening) {
    close(entry, "its proxy is held down");
    entry.kept_port = PortKeeper::keep(entry.rules.listen);
  }
  tell("proxy.held", entry);
  return {};
}

auto Registry::release(std::string_view name, std::string_view hold) -> Outcome<void> {
  thread_.check("control::Registry");
  ProxyEntry& entry = proxies_.find(name)->second;
  if (std::erase_if(entry.holds, [&](const Hold& each) { return each.id == hold; }) == 0) {
    return refuse(RefusalKind::not_found, fmt::format("this proxy has no hold \"{}\"", hold.substr(0, 64)));
  }
  auto opened = open_if_free(entry);
  tell("proxy.released", entry);
  return opened;
}

void Registry::drop_faults_of(std::string_view lease, ProxyEntry& entry, LeaseEnd& end) {
  std::vector<fault::FaultList::Entry> kept;
  std::vector<std::string> dropped;
  for (const auto& spec : entry.faults->entries()) {
    if (entry.fault_marks.at(spec->name).lease == lease) {
      dropped.push_back(spec->name);
    } else {
      kept.push_back(spec);
    }
  }
  if (dropped.empty()) return;
  end.faults += dropped.size();
  const std::string& name = entry.name;
  set_faults(name, fault::FaultList(std::move(kept), entry.faults->revision() + 1),
             {"fault.removed", name, dropped.front(), 0});
  // One change of the list; those who follow hear of each fault.
  for (std::size_t i = 1; i < dropped.size(); ++i) tell("fault.removed", entry, dropped[i]);
}

void Registry::drop_holds_of(std::string_view lease, ProxyEntry& entry, LeaseEnd& end) {
  const auto dropped = std::erase_if(entry.holds, [&](const Hold& each) { return each.lease == lease; });
  if (dropped == 0) return;
  end.holds += dropped;
  if (auto opened = open_if_free(entry); !opened) end.failed.push_back(opened.error());
  tell("proxy.released", entry);
}

void Registry::take_back(std::string_view name, std::string_view lease, LeaseEnd& end) {
  thread_.check("control::Registry");
  ProxyEntry& entry = proxies_.find(name)->second;
  drop_faults_of(lease, entry, end);
  drop_holds_of(lease, entry, end);
}

}  // namespace weir::control
