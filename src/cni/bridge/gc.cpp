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
  if (link.kind != "veth" || !link.name.starts_with("veth")) return false;
  const bool kept = std::any_of(valid.begin(), valid.end(),
                                [&](const Attachment& each) { return link.name == host_veth(network, each); });
  if (kept) return false;
  if (const auto owner = parse_alias(link.alias)) {
    return owner->network == network && link.name == host_veth(network, owner->attachment);
  }
  return link.mac == host_mac(network, link.name);
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
  std::string wrong;
  const auto note = [&](const std::string& why) { wrong += (wrong.empty() ? "" : "; ") + why; };
  std::vector<RemovedRules::KnownLease> leases;
  if (config->ipam == host_local::plugin().name) {
    for (const auto& [ip, owner] : host_local::all_leases(request)) leases.push_back({ip, owner});
  }
  const auto removed = RemovedRules::stale(request.name, *valid, leases);
  if (!removed.outcome()) note(removed.outcome().error().msg);
  const auto links = list_ports(*host, 0);
  if (!links) note(refused("failed to list links", links.error()).value().msg);
  for (const auto& link : links ? *links : std::vector<Link>{}) {
    if (!is_stale(link, request.name, *valid)) continue;
    const auto gone = host->send(delete_link(link.index));
    if (!gone && gone.error().code != ENODEV) note(text({"failed to delete ", link.name, ": ", gone.error().words()}));
  }
  if (auto good = remove_empty_bridge(*host, *config); !good) note(good.error().msg);
  if (const auto released = run_ipam(request, Command::gc, *config); !released) note(released.error().msg);
  if (!wrong.empty()) return fail(wrong);
  return {};
}

}  // namespace weir::cni::bridge
