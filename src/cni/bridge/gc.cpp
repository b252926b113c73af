#include <algorithm>
#include <cerrno>
#include <set>

#include "cni/bridge/attachment_link.h"
#include "cni/bridge/empty_bridge.h"
#include "cni/bridge/plugin.h"
#include "cni/bridge/ports.h"
#include "cni/bridge/rules.h"
#include "cni/host_local/plugin.h"

namespace weir::cni::bridge {
namespace {

// The attachments of a network that are to stay, and the names of their links.
class Kept {
 public:
  Kept(const std::string& network, const std::vector<Attachment>& valid)
      : network_(&network), attachments_(valid.begin(), valid.end()) {
    for (const auto& each : valid) links_.insert(host_veth(network, each));
  }
  // Whether we made this link for this network, and for none of them. One that was left before it had its alias is
  // known by its MAC.
  [[nodiscard]] auto misses(const Link& link) const -> bool {
    if (link.kind != "veth") return false;
    if (const auto owner = parse_alias(link.alias)) {
      return owner->network == *network_ && !attachments_.contains(owner->attachment);
    }
    return !links_.contains(link.name) && link.name.starts_with("veth") && link.mac == host_mac(*network_, link.name);
  }

 private:
  const std::string* network_;
  std::set<Attachment> attachments_;
  std::set<std::string> links_;
};

// Whose addresses are, by the leases and by the links' aliases: another IPAM plugin's leases are its own.
auto known_leases(const Request& request, const Config& config, const std::vector<Link>& links)
    -> std::vector<RemovedRules::KnownLease> {
  std::vector<RemovedRules::KnownLease> known;
  if (is_host_local(config)) {
    for (const auto& [ip, owner] : host_local::all_leases(request)) known.push_back({ip, owner});
  }
  for (const auto& link : links) {
    const auto alias = link.kind == "veth" ? parse_alias(link.alias) : std::nullopt;
    if (!alias || alias->network != request.name) continue;
    for (const auto& ip : addresses_named(*alias)) known.push_back({ip, alias->attachment});
  }
  return known;
}

// The addresses that will have no owner.
auto freed_addresses(const std::vector<RemovedRules::KnownLease>& leases, const std::vector<Attachment>& valid)
    -> std::vector<Ip> {
  std::set<Attachment> kept;
  for (const auto& each : valid) {
    kept.insert(each);
    kept.insert({each.container_id, {}});  // an older lease names no interface
  }
  std::set<Ip> freed;
  for (const auto& lease : leases) {
    if (!kept.contains(lease.owner)) freed.insert(lease.ip);
  }
  return {freed.begin(), freed.end()};
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
  const auto links = list_ports(*host, 0);
  if (!links) note(refused("failed to list links", links.error()).value());
  const auto leases = known_leases(request, *config, links ? *links : std::vector<Link>{});
  auto removed = RemovedRules::remove_stale(request.name, *valid, leases);
  if (!removed.outcome()) note(removed.outcome().error());
  const Kept kept(request.name, *valid);
  for (const auto& link : links ? *links : std::vector<Link>{}) {
    if (!kept.misses(link)) continue;
    const auto gone = host->send(delete_link(link.index));
    if (!gone && gone.error().code != ENODEV) note(refused("failed to delete " + link.name, gone.error()).value());
  }
  if ((config->masquerade || removed.any()) && wrong.empty()) removed.forget(freed_addresses(leases, *valid));
  if (auto good = remove_empty_bridge(*host, *config); !good) note(good.error());
  if (const auto released = run_ipam(request, Command::gc, *config); !released) note(released.error());
  if (wrong.empty()) return {};
  if (wrong.size() == 1) return Failure(wrong.front());  // with the code that it came with
  std::string all;
  for (const auto& each : wrong) all += (all.empty() ? "" : "; ") + each.msg;
  return fail(all);
}

}  // namespace weir::cni::bridge
