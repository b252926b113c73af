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

auto undo_bridge(NetlinkSocket& socket, const HostSide& side) -> void {
  if (!side.made_bridge && side.made_gateway_port == 0 && side.added_gateways.empty()) return;
  const auto lock = HostLock::take("bridge");
  const auto ports = list_ports(socket, side.bridge.index);
  if (!ports) return;
  const bool used =
      std::any_of(ports->begin(), ports->end(), [&](const Link& port) { return port.index != side.made_gateway_port; });
  if (used) return;
  // Links take their addresses with them.
  if (side.made_gateway_port != 0) (void)socket.send(delete_link(side.made_gateway_port));
  if (side.made_bridge) {
    (void)socket.send(delete_link(side.bridge.index));
  } else if (side.made_gateway_port == 0) {
    for (const auto& address : side.added_gateways) (void)socket.send(delete_address(side.bridge.index, address));
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
