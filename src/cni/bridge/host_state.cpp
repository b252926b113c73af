#include "cni/bridge/host_state.h"

#include <linux/if.h>

#include <algorithm>

#include "cni/bridge/ports.h"
#include "cni/kernel/address.h"

namespace weir::cni::bridge {
namespace {

auto is_up(const Link& link) -> bool { return (link.flags & IFF_UP) != 0; }

auto is_down(const Link& link) -> Failure { return fail(text({"Interface ", link.name, " is down"})); }

// The link that has the gateways' addresses.
auto gateway_link(NetlinkSocket& socket, const Config& config, const Link& bridge) -> Result<Link> {
  if (config.vlan == 0) return bridge;
  const auto name = text({config.bridge, ".", std::to_string(config.vlan)});
  const auto link = find_link(socket, name);
  if (!link) return refused("failed to lookup " + name, link.error());
  if (!*link) return fail(text({"Interface ", name, ", which has the VLAN's gateway, not found"}));
  if (!is_up(**link)) return is_down(**link);
  const auto port = (*link)->peer == 0 ? Answer<std::optional<Link>>() : find_link(socket, (*link)->peer);
  if (!port) return refused("failed to lookup the port of " + name, port.error());
  if (!*port || (*port)->master != bridge.index) {
    return fail(text({"Interface ", name, " is not connected to bridge ", bridge.name}));
  }
  if (!is_up(**port)) return is_down(**port);
  return **link;
}

auto check_forwarding(bool v4) -> Result<void> {
  const std::string name = v4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding";
  const auto now = read_sysctl(name);
  if (!now.empty() && now != "0") return {};
  return fail(text({"IP forwarding is off: /proc/sys/", name, " has to be 1"}));
}

}  // namespace

auto check_links(const Config& config, const Link& bridge, const Link& port, const Link& inside) -> Result<void> {
  for (const auto* link : {&bridge, &port}) {
    if (!is_up(*link)) return is_down(*link);
  }
  for (const auto* link : {&bridge, &port, &inside}) {
    if (config.mtu == 0 || link->mtu == config.mtu) continue;
    return fail(text({"Interface ", link->name, " MTU doesn't match: configured ", std::to_string(config.mtu), ", is ",
                      std::to_string(link->mtu)}));
  }
  if (config.vlan_filtering() && !bridge.vlan_filtering) {
    return fail(text({"Bridge interface ", bridge.name, " does not filter VLANs, which vlan and vlanTrunk need"}));
  }
  return {};
}

auto check_vlans(NetlinkSocket& socket, const Config& config, const Link& port) -> Result<void> {
  if (config.vlan == 0 && config.trunk.empty()) return {};
  const auto now = list_vlans(socket, port.index);
  if (!now) return refused("failed to list the VLANs of " + port.name, now.error());
  const auto has = [&](std::uint16_t id, bool native) {
    return std::any_of(now->begin(), now->end(),
                       [&](const PortVlan& each) { return each.id == id && (each.native || !native); });
  };
  const auto missing = [&](std::uint16_t id) {
    return fail(text({"Interface ", port.name, " has not the VLAN ", std::to_string(id), " that it was given"}));
  };
  // Without a VLAN of its own, a trunk's untagged packets are of VLAN 1.
  const std::uint16_t native = config.vlan != 0 ? config.vlan : 1;
  if (!has(native, true)) return missing(native);
  for (const auto id : config.trunk) {
    if (!has(id, false)) return missing(id);
  }
  return {};
}

auto check_gateways(NetlinkSocket& socket, const Config& config, const Link& bridge, const std::vector<IpConfig>& ips)
    -> Result<void> {
  if (!config.is_gateway || ips.empty()) return {};
  const auto link = gateway_link(socket, config, bridge);
  if (!link) return Failure(link.error());
  const auto now = list_addresses(socket, link->index);
  if (!now) return refused("failed to list addresses of " + link->name, now.error());
  for (const auto& ip : ips) {
    const Prefix gateway{ip.gateway.value_or(ip.address.network().ip.next()), ip.address.length};
    const bool there = std::any_of(now->begin(), now->end(), [&](const InterfaceAddress& each) {
      return each.prefix == gateway && !each.duplicate;
    });
    if (!there) return fail(text({"Gateway ", gateway.to_string(), " is not an address of interface ", link->name}));
  }
  for (const bool v4 : {true, false}) {
    const bool any = std::any_of(ips.begin(), ips.end(), [&](const auto& ip) { return ip.address.ip.is_v4() == v4; });
    if (!any) continue;
    if (auto good = check_forwarding(v4); !good) return good;
  }
  return {};
}

}  // namespace weir::cni::bridge
