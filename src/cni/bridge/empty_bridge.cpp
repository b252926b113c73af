#include "cni/bridge/empty_bridge.h"

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

auto finish_bridge(NetlinkSocket& socket, const Link& bridge) -> void {
  if (bridge.alias == unfinished_alias) (void)socket.send(set_alias(bridge.index, ""));
}

auto undo_bridge(NetlinkSocket& socket, const Config& config, const HostSide& side) -> void {
  if (side.bridge.index == 0) return;
  const auto lock = HostLock::take("bridge");
  const auto bridge = find_link(socket, side.bridge.index);
  const auto ports = list_ports(socket, side.bridge.index);
  if (!bridge || !*bridge || !ports) return;
  const bool used =
      std::any_of(ports->begin(), ports->end(), [&](const Link& port) { return port.index != side.made_gateway_port; });
  if (used) return;
  // Links take their addresses with them.
  if (side.made_gateway_port != 0) (void)socket.send(delete_link(side.made_gateway_port));
  if (side.made_bridge || (*bridge)->alias == unfinished_alias)
    return void(socket.send(delete_link(side.bridge.index)));
  for (const auto& address : side.added_gateways) (void)socket.send(delete_address(side.gateway_link, address));
  if (side.mtu_before && (*bridge)->mtu == config.mtu) (void)socket.send(set_mtu(side.bridge.index, *side.mtu_before));
  if (side.made_promiscuous) (void)socket.send(set_promiscuous(side.bridge.index, false));
}

auto remove_empty_bridge(NetlinkSocket& socket, const Config& config, std::uint32_t left) -> Result<void> {
  if (!config.remove_empty_bridge) return {};
  const auto lock = HostLock::take("bridge");
  const auto bridge = left != 0 ? find_link(socket, left) : find_link(socket, config.bridge);
  if (!bridge || !*bridge || (*bridge)->kind != "bridge") return {};  // also where no link can have such a name
  const auto name = (*bridge)->name;
  const auto context = text({"failed to remove bridge ", in_quotes(name)});
  const auto ports = list_ports(socket, (*bridge)->index);
  if (!ports) return refused(context, ports.error());
  const bool empty =
      std::all_of(ports->begin(), ports->end(), [&](const Link& port) { return is_gateway_port(port, name); });
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
