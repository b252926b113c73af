#include <algorithm>
#include <cerrno>

#include "cni/bridge/attachment_link.h"
#include "cni/bridge/empty_bridge.h"
#include "cni/bridge/plugin.h"
#include "cni/bridge/ports.h"
#include "cni/bridge/rules.h"
#include "cni/host_local/plugin.h"

namespace weir::cni::bridge {
namespace {

// Whether we made this link for this network, and for none of `valid`. One that was left before it had its
// alias is known by its MAC.
auto is_stale(const Link& link, const std::string& network, const std::vector<Attachment>& valid) -> bool {
  if (link.kind != "veth") return false;
  if (const auto owner = parse_alias(link.alias)) {
    return owner->network == network && std::find(valid.begin(), valid.end(), owner->attachment) == valid.end();
  }
  const bool kept = std::any_of(valid.begin(), valid.end(),
                                [&](const Attachment& each) { return link.name == host_veth(network, each); });
  return !kept && link.name.starts_with("veth") && link.mac == host_mac(network, link.name);
}

// The addresses that will have no owner.
auto freed_addresses(const std::vector<RemovedRules::KnownLease>& leases, const std::vector<Attachment>& valid)
    -> std::vector<Ip> {
  std::vector<Ip> freed;
  for (const auto& lease : leases) {
    const bool kept = std::any_of(valid.begin(), valid.end(), [&](const Attachment& each) {
      // An older lease names no interface.
      return each == lease.owner || (lease.owner.ifname.empty() && each.container_id == lease.owner.container_id);
    });
    if (!kept) freed.push_back(lease.ip);
  }
  return freed;
}

}  // namespace

auto gc(const Request& request) -> Result<void> {
  const auto valid = valid_attachments(request);
  if (!valid) return Failure(valid.error());
  const auto config = parse_config(request);
  if (!config) return Failure(config.error());
  auto host = open_route_socket();
  if (!host) return Failure(host.error());

  // It goes on after an error, and says all of them at the end.
  std::vector<Error> wrong;
  const auto note = [&](Error error) { wrong.push_back(std::move(error)); };
  std::vector<RemovedRules::KnownLease> leases;
  if (is_host_local(*config)) {
    for (const auto& [ip, owner] : host_local::all_leases(request)) leases.push_back({ip, owner});
  }
  auto removed = RemovedRules::stale(request.name, *valid, leases);
  if (!removed.outcome()) note(removed.outcome().error());
  const auto links = list_ports(*host, 0);
  if (!links) note(refused("failed to list links", links.error()).value());
  for (const auto& link : links ? *links : std::vector<Link>{}) {
    if (!is_stale(link, request.name, *valid)) continue;
    const auto gone = host->send(delete_link(link.index));
    if (!gone && gone.error().code != ENODEV) note(refused("failed to delete " + link.name, gone.error()).value());
  }
  if (config->masquerade) removed.forget(freed_addresses(leases, *valid));
  if (auto good = remove_empty_bridge(*host, *config); !good) note(good.error());
  if (const auto released = run_ipam(request, Command::gc, *config); !released) note(released.error());
  if (wrong.empty()) return {};
  if (wrong.size() == 1) return Failure(wrong.front());  // with the code that it came with
  std::string all;
  for (const auto& each : wrong) all += (all.empty() ? "" : "; ") + each.msg;
  return fail(all);
}

}  // namespace weir::cni::bridge
