#include "cni/bridge/attachment_link.h"

#include <algorithm>

#include "cni/bridge/host_side.h"
#include "cni/bridge/ports.h"

namespace weir::cni::bridge {

auto is_ours(const Link& link, const std::string& network, const Attachment& owner) -> bool {
  const auto name = host_veth(network, owner);
  if (link.kind != "veth" || link.name != name) return false;
  const auto named = parse_alias(link.alias);
  if (named) return named->network == network && named->attachment == owner;
  return link.mac == host_mac(network, name);
}

auto is_of_result(const Link& link, const std::optional<AddResult>& previous, const Config& config,
                  std::uint32_t bridge) -> bool {
  if (!previous || link.kind != "veth" || bridge == 0 || link.master != bridge) return false;
  return std::any_of(previous->interfaces.begin(), previous->interfaces.end(), [&](const Interface& each) {
    return each.sandbox.empty() && each.name != config.bridge && each.name == link.name &&
           each.mac == to_string(link.mac);
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
    -> std::optional<Link> {
  auto links = list_ports(socket, 0);
  if (!links) return std::nullopt;
  for (auto& link : *links) {
    const auto named = link.kind == "veth" ? parse_alias(link.alias) : std::nullopt;
    if (named && named->network == network && named->attachment == owner) return std::move(link);
  }
  return std::nullopt;
}

auto addresses_in(const std::optional<AddResult>& previous, const std::string& ifname) -> std::vector<Prefix> {
  std::vector<Prefix> found;
  if (!previous) return found;
  for (const auto& ip : previous->ips) {
    const auto index = ip.interface ? static_cast<std::size_t>(*ip.interface) : previous->interfaces.size();
    // Old results do not say whose an address is; a chained plugin's may be of another interface.
    const bool elsewhere = index < previous->interfaces.size() && previous->interfaces[index].name != ifname;
    if (!elsewhere) found.push_back(ip.address);
  }
  return found;
}

}  // namespace weir::cni::bridge
