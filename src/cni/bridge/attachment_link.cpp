#include "cni/bridge/attachment_link.h"

#include <algorithm>

#include "cni/bridge/container_side.h"
#include "cni/bridge/host_side.h"
#include "cni/bridge/plugin.h"
#include "cni/bridge/ports.h"
#include "cni/host_local/plugin.h"
#include "cni/kernel/address.h"

namespace weir::cni::bridge {

auto is_ours(const Link& link, const std::string& network, const Attachment& owner) -> bool {
  const auto name = host_veth(network, owner);
  if (link.kind != "veth" || link.name != name) return false;
  const auto named = parse_alias(link.alias);
  if (named) return named->network == network && named->attachment == owner;
  return link.mac == host_mac(network, name);  // mutant: strangers-link-taken-by-name
}

auto is_of_result(const Link& link, const std::optional<AddResult>& previous, const Config& config,
                  std::uint32_t bridge) -> bool {
  // mutant: link-of-another-bridge-deleted
  if (!previous || link.kind != "veth" || bridge == 0 || link.master != bridge) return false;
  return std::any_of(previous->interfaces.begin(), previous->interfaces.end(), [&](const Interface& each) {
    return each.sandbox.empty() && each.name != config.bridge && each.name == link.name &&
           parse_mac(each.mac) == link.mac;
  });
}

auto find_host_end(NetlinkSocket& socket, const Config& config, const std::string& network, const Attachment& owner,
                   const std::optional<AddResult>& previous) -> Result<std::optional<Link>> {
  const auto name = host_veth(network, owner);
  auto link = find_link(socket, name);
  if (!link) return refused(text({"failed to lookup ", in_quotes(name)}), link.error());
  if (*link && is_ours(**link, network, owner)) return std::move(*link);
  if (!previous) return std::optional<Link>{};
  const bool about_it =
      std::any_of(previous->interfaces.begin(), previous->interfaces.end(),
                  [&](const Interface& each) { return !each.sandbox.empty() && each.name == owner.ifname; });
  if (!about_it) return std::optional<Link>{};
  const auto bridge = find_link(socket, config.bridge);
  if (!bridge || !*bridge || (*bridge)->kind != "bridge") return std::optional<Link>{};
  for (const auto& each : previous->interfaces) {
    if (!each.sandbox.empty() || each.name.empty() || each.name == config.bridge) continue;
    link = find_link(socket, each.name);
    // One with an alias of ours is another attachment's.
    if (link && *link && !parse_alias((*link)->alias) && is_of_result(**link, previous, config, (*bridge)->index))
      return std::move(*link);
  }
  return std::optional<Link>{};
}

auto find_renamed_host_end(NetlinkSocket& socket, const std::string& network, const Attachment& owner)
    -> Result<std::optional<Link>> {
  auto links = list_ports(socket, 0);
  if (!links) return refused("failed to list links", links.error());
  for (auto& link : *links) {
    const auto named = link.kind == "veth" ? parse_alias(link.alias) : std::nullopt;
    if (named && named->network == network && named->attachment == owner) return std::optional(std::move(link));
  }
  return std::optional<Link>{};
}

namespace {

// Nothing where there is no such namespace any more, and no interface in it.
auto addresses_inside(const Request& request, std::vector<Ip>& into) -> Result<void> {
  if (request.environment.netns.empty()) return {};
  auto container = ContainerSide::open(request.environment.netns);
  if (!container) return {};
  const auto links = list_ports(container->socket(), 0);
  if (!links) return refused("failed to list the container's links", links.error());
  for (const auto& link : *links) {
    if (link.name == request.environment.ifname) continue;
    const auto addresses = list_addresses(container->socket(), link.index);
    if (!addresses) return refused("failed to list addresses of " + link.name, addresses.error());
    for (const auto& each : *addresses) into.push_back(each.prefix.ip);
  }
  return {};
}

}  // namespace

auto addresses_of_the_others(const Request& request, bool by_leases) -> Result<std::vector<Ip>> {
  const auto [container, ifname] = attachment_of(request);
  std::vector<Ip> found;
  auto socket = open_route_socket();
  if (!socket) return Failure(socket.error());
  const auto links = list_ports(*socket, 0);
  if (!links) return refused("failed to list links", links.error());
  for (const auto& link : *links) {
    const auto named = link.kind == "veth" ? parse_alias(link.alias) : std::nullopt;
    if (!named || named->network != request.name) continue;
    if (named->attachment.container_id != container || named->attachment.ifname == ifname) continue;
    const auto addresses = addresses_named(*named);
    found.insert(found.end(), addresses.begin(), addresses.end());
  }
  if (auto good = addresses_inside(request, found); !good) return Failure(good.error());
  if (!by_leases) return found;
  for (const auto& [ip, owner] : host_local::all_leases(request)) {
    if (owner.container_id == container && owner.ifname != ifname && !owner.ifname.empty()) found.push_back(ip);
  }
  return found;
}

auto ips_in(const AddResult& previous, const std::string& ifname) -> std::vector<IpConfig> {
  std::vector<IpConfig> found;
  for (const auto& ip : previous.ips) {
    const auto index = ip.interface ? static_cast<std::size_t>(*ip.interface) : previous.interfaces.size();
    // Old results do not say whose an address is; a chained plugin's may be of another interface.
    const bool elsewhere = index < previous.interfaces.size() && previous.interfaces[index].name != ifname;
    if (!elsewhere) found.push_back(ip);
  }
  return found;
}

auto addresses_in(const std::optional<AddResult>& previous, const std::string& ifname) -> std::vector<Prefix> {
  std::vector<Prefix> found;
  if (!previous) return found;
  for (const auto& ip : ips_in(*previous, ifname)) found.push_back(ip.address);
  return found;
}

}  // namespace weir::cni::bridge
