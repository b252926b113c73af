#include "cni/bridge/empty_bridge.h"

#include <linux/if.h>

#include <algorithm>
#include <cerrno>

#include "cni/bridge/host_lock.h"
#include "cni/bridge/names.h"
#include "cni/bridge/ports.h"
#include "cni/kernel/address.h"

namespace weir::cni::bridge {
namespace {

constexpr std::string_view alias_begin = "cni gateway=";

}  // namespace

auto gateway_alias(const std::string& gateway) -> std::string { return text({alias_begin, gateway}); }

auto gateway_port(const std::string& bridge, const std::string& gateway) -> std::string {
  return host_veth(bridge, {gateway, "gateway"});
}

auto is_gateway_port(const Link& port, const std::string& bridge) -> bool {
  if (port.kind != "veth" || !port.alias.starts_with(alias_begin)) return false;
  return port.name == gateway_port(bridge, port.alias.substr(alias_begin.size()));
}

namespace {

// What an ADD may have changed of a bridge that it found, as it was before.
auto former_settings(NetlinkSocket& socket, const Link& before) -> std::vector<Message> {
  std::vector<Message> messages;
  const auto now = before.index == 0 ? std::optional<Link>() : find_link(socket, before.index).value_or(std::nullopt);
  if (!now) return messages;
  if (before.mtu != now->mtu) messages.push_back(set_mtu(now->index, before.mtu));
  if (before.promiscuity == 0 && now->promiscuity != 0) messages.push_back(set_promiscuous(now->index, false));
  if ((before.flags & IFF_UP) == 0 && (now->flags & IFF_UP) != 0) messages.push_back(set_up(now->index, false));
  return messages;
}

// Whether the container behind a port may need `gateway`, which was not there before our own port was: one of
// an ADD that went on beside ours, and found the address there. Our ports say their addresses in their
// alias; of a reference's we know only that it is younger.
auto relies_on(const Link& port, const Prefix& gateway, const HostSide& side) -> bool {
  const auto owner = parse_alias(port.alias);
  const auto addresses = owner ? addresses_named(*owner) : std::vector<Ip>{};
  if (addresses.empty()) return port.kind == "veth" && port.index > side.port.index;
  return std::any_of(addresses.begin(), addresses.end(), [&](const Ip& ip) { return gateway.contains(ip); });
}

}  // namespace

auto undo_bridge(NetlinkSocket& socket, const HostSide& side) -> void {
  const auto settings = former_settings(socket, side.bridge_before);
  if (!side.made_bridge && side.made_gateway_port == 0 && side.added_gateways.empty() &&
      side.removed_addresses.empty() && settings.empty()) {
    return;
  }
  const auto lock = HostLock::take("bridge");
  auto others = list_ports(socket, side.bridge.index);
  if (!others) return;
  std::erase_if(*others, [&](const Link& port) { return port.index == side.made_gateway_port; });
  if (others->empty()) {
    // Links take their addresses with them.
    if (side.made_gateway_port != 0) (void)socket.send(delete_link(side.made_gateway_port));
    if (side.made_bridge) return void(socket.send(delete_link(side.bridge.index)));
  }
  for (const auto& address : side.added_gateways) {
    const bool needed =
        std::any_of(others->begin(), others->end(), [&](const Link& port) { return relies_on(port, address, side); });
    if (!needed) (void)socket.send(delete_address(side.gateway_link, address));
  }
  for (const auto& address : side.removed_addresses) (void)socket.send(new_address(side.gateway_link, address, false));
  if (!others->empty()) return;
  // A link that goes down loses its IPv6 addresses.
  const auto addresses =
      settings.empty() ? Answer<std::vector<InterfaceAddress>>() : list_addresses(socket, side.bridge.index);
  for (const auto& message : settings) (void)socket.send(message);
  if (!addresses) return;
  for (const auto& each : *addresses) {
    if (each.prefix.ip.is_v4() || each.prefix.ip.is_link_local()) continue;
    (void)socket.send(new_address(side.bridge.index, each.prefix, false));
  }
}

auto remove_empty_bridge(NetlinkSocket& socket, const Config& config) -> Result<void> {
  if (!config.remove_empty_bridge) return {};
  const auto lock = HostLock::take("bridge");
  const auto bridge = find_link(socket, config.bridge);
  if (!bridge || !*bridge || (*bridge)->kind != "bridge") return {};  // also where no link can have such a name
  const auto context = text({"failed to remove bridge ", in_quotes(config.bridge)});
  const auto ports = list_ports(socket, (*bridge)->index);
  if (!ports) return refused(context, ports.error());
  const bool empty =
      std::all_of(ports->begin(), ports->end(), [&](const Link& port) { return is_gateway_port(port, config.bridge); });
  if (!empty) return {};
  std::vector<std::uint32_t> doomed;
  for (const auto& port : *ports) doomed.push_back(port.index);
  doomed.push_back((*bridge)->index);
  for (const auto index : doomed) {
    const auto gone = socket.send(delete_link(index));
    if (!gone && gone.error().code != ENODEV) return refused(context, gone.error());
  }
  return {};
}

}  // namespace weir::cni::bridge
