#include "cni/bridge/gateways.h"

#include <algorithm>
#include <cerrno>

#include "cni/bridge/empty_bridge.h"
#include "cni/bridge/ports.h"
#include "cni/kernel/address.h"

namespace weir::cni::bridge {
namespace {

// Which addresses have to go, and which to come. `ours` are all gateways of this attachment: with two range
// sets of one family the bridge carries several, which the reference takes for somebody else's.
struct AddressChange {
  std::vector<Prefix> added;
  std::vector<Prefix> removed;
};
auto address_change(const Link& link, const std::vector<InterfaceAddress>& now, const std::vector<Prefix>& ours,
                    bool force) -> Result<AddressChange> {
  AddressChange change;
  auto& [added, removed] = change;
  const auto is_there = [&](const Prefix& address) {
    return std::any_of(now.begin(), now.end(), [&](const auto& each) { return each.prefix == address; });
  };
  for (const auto& wanted : ours) {
    if (is_there(wanted) || std::find(added.begin(), added.end(), wanted) != added.end()) continue;
    for (const auto& [each, tentative, duplicate] : now) {
      if (each.ip.is_v4() != wanted.ip.is_v4() || std::find(ours.begin(), ours.end(), each) != ours.end()) continue;
      const bool conflict = wanted.ip.is_v4() || each.contains(wanted.ip) || wanted.contains(each.ip);
      if (!conflict) continue;
      if (!force) {
        return fail(text({"failed to set bridge addr: ", in_quotes(link.name),
                          " already has an IP address different from ", wanted.to_string()}));
      }
      if (std::find(removed.begin(), removed.end(), each) != removed.end()) continue;
      removed.push_back(each);
    }
    added.push_back(wanted);
  }
  return change;
}

// New ones first, so that one that the kernel refuses costs none that is there.
auto change_addresses(NetlinkSocket& socket, const Link& link, const AddressChange& change, HostSide& side)
    -> Result<void> {
  const auto put = [&](const Prefix& address) { return socket.send(new_address(link.index, address, false)); };
  std::vector<Prefix> gone;
  const auto undo = [&] {
    for (const auto& each : gone) (void)put(each);
    for (const auto& each : side.added_gateways) (void)socket.send(delete_address(link.index, each));
    side.added_gateways.clear();
  };
  side.gateway_link = link.index;
  for (const auto& each : change.added) {
    const auto added = put(each);
    if (added) side.added_gateways.push_back(each);
    // One that another ADD added meanwhile is as good, but not ours to take back.
    if (added || added.error().code == EEXIST) continue;
    undo();
    return refused(
        text({"failed to set bridge addr: could not add IP address ", each.to_string(), " to ", in_quotes(link.name)}),
        added.error());
  }
  for (const auto& each : change.removed) {
    const auto removed = socket.send(delete_address(link.index, each));
    if (removed) gone.push_back(each);
    if (removed || removed.error().code == EADDRNOTAVAIL) continue;
    undo();
    return refused(text({"failed to set bridge addr: could not remove IP address from ", in_quotes(link.name)}),
                   removed.error());
  }
  // The first address of a subnet takes the others with it (ip-sysctl, promote_secondaries); ours may be one.
  if (!gone.empty()) {
    for (const auto& each : change.added) (void)put(each);
  }
  return {};
}

// Finds or makes `<bridge>.<vlan>`: a pair within the host, one end in the VLAN, the other the gateway.
auto ensure_vlan_gateway(NetlinkSocket& socket, const Config& config, HostSide& side) -> Result<Link> {
  const auto name = text({config.bridge, ".", std::to_string(config.vlan)});
  const auto context = text({"failed to create vlan gateway ", in_quotes(name)});
  auto found = find_link(socket, name);
  if (!found) return refused(context, found.error());
  if (!*found) {
    const auto end = gateway_port(config.bridge, name);
    const auto made = socket.send(new_veth({.name = end,
                                            .mac = random_mac(),
                                            .master = side.bridge.index,
                                            .mtu = side.bridge.mtu,
                                            .peer_name = name,
                                            .peer_mac = random_mac(),
                                            .peer_netns = -1}));
    if (!made && made.error().code != EEXIST) return refused(context, made.error());
    const auto port = find_link(socket, end);
    if (!port) return refused(context, port.error());
    if (made && *port) {
      side.made_gateway_port = (*port)->index;
      Steps steps;
      steps.add(set_alias((*port)->index, gateway_alias(name)), context);
      if (!config.preserve_default_vlan && side.bridge.default_vlan != 0) {
        steps.add(delete_vlan((*port)->index, side.bridge.default_vlan), context);
      }
      steps.add(add_vlan((*port)->index, config.vlan, true), context);
      if (auto good = steps.run(socket); !good) return Failure(good.error());
    }
    found = find_link(socket, name);
    if (!found) return refused(context, found.error());
    if (!*found) return fail(context + ": Link not found");
  }
  if (const auto up = socket.send(set_up((*found)->index)); !up) return refused(context, up.error());
  return **found;
}

auto enable_forwarding(const std::vector<Prefix>& gateways) -> Result<void> {
  for (const bool v4 : {true, false}) {
    const bool wanted =
        std::any_of(gateways.begin(), gateways.end(), [&](const Prefix& each) { return each.ip.is_v4() == v4; });
    if (wanted && !set_sysctl(v4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding", "1")) {
      return fail(text({"failed to enable forwarding: ", errno_words(errno)}));
    }
  }
  return {};
}

}  // namespace

auto has_gateways(NetlinkSocket& socket, const Config& config, const Link& bridge, const std::vector<Prefix>& gateways)
    -> Result<bool> {
  if (gateways.empty() || config.force_address || config.vlan != 0) return false;
  const auto now = list_addresses(socket, bridge.index);
  if (!now) return refused("failed to set bridge addr: could not get list of IP addresses", now.error());
  const auto change = address_change(bridge, *now, gateways, false);
  if (!change) return Failure(change.error());
  return change->added.empty();
}

auto set_gateways(NetlinkSocket& socket, const Config& config, const std::vector<Prefix>& gateways, bool are_there,
                  HostSide& side) -> Result<std::optional<Link>> {
  std::optional<Link> vlan;
  if (gateways.empty()) return vlan;
  if (are_there) {
    if (auto good = enable_forwarding(gateways); !good) return Failure(good.error());
    return vlan;
  }
  if (config.vlan != 0) {
    auto made = ensure_vlan_gateway(socket, config, side);
    if (!made) return Failure(made.error());
    vlan = std::move(*made);
  }
  const Link& link = vlan ? *vlan : side.bridge;
  std::vector<InterfaceAddress> now;
  if (!side.made_bridge || vlan) {
    auto listed = list_addresses(socket, link.index);
    if (!listed) return refused("failed to set bridge addr: could not get list of IP addresses", listed.error());
    now = std::move(*listed);
  }
  auto change = address_change(link, now, gateways, config.force_address);
  if (!change) return Failure(change.error());
  if (auto good = enable_forwarding(gateways); !good) return Failure(good.error());
  // Not at every ADD: even the MAC that it has makes the kernel forget all neighbours there.
  if (!side.bridge_has_own_mac && !change->added.empty()) {
    const auto pinned = socket.send(set_mac(side.bridge.index, side.bridge.mac));
    if (!pinned) return refused("could not set bridge's mac", pinned.error());
  }
  if (auto good = change_addresses(socket, link, *change, side); !good) return Failure(good.error());
  return vlan;
}

}  // namespace weir::cni::bridge
