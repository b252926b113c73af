#include "cni/bridge/host_side.h"

#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "cni/bridge/empty_bridge.h"
#include "cni/bridge/ports.h"
#include "cni/kernel/address.h"

namespace weir::cni::bridge {
namespace {

constexpr int port_wait_ms = 2550;
constexpr std::string_view no_vlans =
    "this kernel has no bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING), which vlan and vlanTrunk need";

auto create_failure(const Config& config, const std::string& why) -> Failure {
  return fail(text({"failed to create bridge ", in_quotes(config.bridge), ": ", why}));
}

// A bridge that was made without a MAC takes that of one port after the other, and 00:.. without any. One that we find
// so keeps the one that it has, or gets a new one.
auto pin_mac(const Config& config, HostSide& side, Steps& steps) -> void {
  if (side.made_bridge && !config.container_interface_down) {
    side.bridge_has_own_mac = true;
    return;
  }
  const bool none = side.bridge.mac == Mac{};
  const auto origin = side.made_bridge || none ? MacOrigin::kernel : mac_origin(side.bridge);
  side.bridge_has_own_mac = origin != MacOrigin::unknown;
  if (origin != MacOrigin::kernel) return;
  if (none) side.bridge.mac = random_mac();
  steps.add(set_mac(side.bridge.index, side.bridge.mac), "could not set bridge's mac");
}

auto addresses_text(const std::vector<IpConfig>& ips) -> std::string {
  std::string out;
  for (const auto& ip : ips) out += (out.empty() ? "" : ",") + ip.address.ip.to_string();
  return out;
}

}  // namespace

auto find_bridge(NetlinkSocket& socket, const std::string& name) -> Result<std::optional<Link>> {
  auto link = find_link(socket, name);
  if (!link) return refused(text({"could not lookup ", in_quotes(name)}), link.error());
  if (*link && (*link)->kind != "bridge") return fail(text({in_quotes(name), " already exists but is not a bridge"}));
  return std::move(*link);
}

auto ensure_bridge(NetlinkSocket& socket, const Config& config, HostSide& side) -> Result<void> {
  auto found = find_bridge(socket, config.bridge);
  if (!found) return create_failure(config, found.error().msg);
  if (!*found) {
    // A bridge that is given a MAC has no carrier until a port has one, and no IPv6 link-local address. If
    // the container's end stays down that is for ever; then the kernel's own MAC is pinned below.
    const auto mac = config.container_interface_down ? std::optional<Mac>() : random_mac();
    const BridgeWish wish{config.bridge, mac, static_cast<std::uint32_t>(config.mtu), config.vlan_filtering()};
    const auto made = socket.send(new_bridge(wish));
    // Another ADD may have been faster; then it is there.
    if (!made && made.error().code == EOPNOTSUPP && config.vlan_filtering()) {
      return create_failure(config, std::string(no_vlans));
    }
    if (!made && made.error().code != EEXIST) {
      return create_failure(config, text({"could not add ", in_quotes(config.bridge), ": ", made.error().words()}));
    }
    side.made_bridge = made.has_value();
    found = find_bridge(socket, config.bridge);
    if (!found) return create_failure(config, found.error().msg);
    if (!*found) return create_failure(config, "it vanished as soon as it was made");
  }
  // The host must not take routes from what its containers say.
  (void)set_sysctl(text({"net/ipv6/conf/", config.bridge, "/accept_ra"}), "0");
  side.bridge = **found;
  if (side.made_bridge) (void)socket.send(set_alias(side.bridge.index, unfinished_alias));
  Steps steps;
  if ((side.bridge.flags & IFF_UP) == 0) steps.add(set_up(side.bridge.index), "failed to set " + config.bridge + " up");
  pin_mac(config, side, steps);
  // Not what a program that listens there has asked for: that ends with the program.
  if (config.promiscuous && (side.bridge.flags & IFF_PROMISC) == 0) {
    side.made_promiscuous = true;
    steps.add(set_promiscuous(side.bridge.index),
              text({"could not set promiscuous mode on ", in_quotes(config.bridge)}));
  }
  if (config.mtu != 0 && side.bridge.mtu != config.mtu) {
    side.mtu_before = side.bridge.mtu;
    steps.add(set_mtu(side.bridge.index, static_cast<std::uint32_t>(config.mtu)),
              text({"could not set the MTU of ", in_quotes(config.bridge)}));
  }
  const bool filter = config.vlan_filtering() && !side.bridge.vlan_filtering;
  if (filter) {
    steps.add(set_vlan_filtering(side.bridge.index),
              text({"could not set VLAN filtering on ", in_quotes(config.bridge)}));
  }
  if (steps.empty()) return {};
  if (auto good = steps.run(socket); !good) {
    const bool unsupported = filter && good.error().msg.find(errno_words(EOPNOTSUPP)) != std::string::npos;
    return create_failure(config, unsupported ? std::string(no_vlans) : good.error().msg);
  }
  found = find_bridge(socket, config.bridge);
  if (found && *found) side.bridge = **found;
  // A kernel without it takes the message and does nothing.
  if (filter && !side.bridge.vlan_filtering) {
    return create_failure(config, std::string(no_vlans));
  }
  return {};
}

namespace {

auto alias_step(const PairWish& wish, const Link& port, Steps& steps) -> void {
  const LinkAlias owner{wish.network, wish.owner, addresses_text(wish.addresses)};
  steps.add(set_alias(port.index, alias_of(owner)), text({"failed to set the alias of ", port.name}));
}

auto port_steps(const Config& config, const PairWish& wish, const HostSide& side) -> Steps {
  Steps steps;
  const auto index = side.port.index;
  const auto& name = side.port.name;
  alias_step(wish, side.port, steps);
  // A new port has neither.
  if (config.hairpin) {
    steps.add(set_port(index, true, {}), text({"failed to setup hairpin mode for ", name}));
  }
  if (config.isolated) steps.add(set_port(index, {}, true), text({"failed to set isolated on for ", name}));
  const auto tag = text({"failed to setup vlan tag on interface ", in_quotes(name)});
  if ((config.vlan != 0 || !config.trunk.empty()) && !config.preserve_default_vlan && side.bridge.default_vlan != 0) {
    steps.add(delete_vlan(index, side.bridge.default_vlan),
              text({"failed to remove default vlan on interface ", in_quotes(name)}));
  }
  if (config.vlan != 0) steps.add(add_vlan(index, config.vlan, true), tag);
  for (const auto id : config.trunk) steps.add(add_vlan(index, id, false), tag);
  // Without a VLAN of its own, a trunk's untagged packets are of VLAN 1.
  if (config.vlan == 0 && !config.trunk.empty()) steps.add(add_vlan(index, 1, true), tag);
  return steps;
}

}  // namespace

auto name_port(NetlinkSocket& socket, const PairWish& wish, const HostSide& side) -> Result<void> {
  Steps steps;
  alias_step(wish, side.port, steps);
  return steps.run(socket);
}

auto make_pair(NetlinkSocket& socket, const Config& config, const PairWish& wish, HostSide& side) -> Result<void> {
  VethWish veth{.name = host_veth(wish.network, wish.owner),
                .mac = {},
                .master = side.bridge.index,
                .mtu = static_cast<std::uint32_t>(config.mtu),
                .peer_name = wish.owner.ifname,
                .peer_mac = wish.container_mac,
                .peer_netns = wish.netns};
  veth.mac = host_mac(wish.network, veth.name);
  const auto made = socket.send(new_veth(veth));
  if (!made) {
    if (made.error().code == EEXIST) {
      return fail(text({"container veth name (", in_quotes(wish.owner.ifname), ") peer provided (",
                        in_quotes(veth.name), ") already exists"}));
    }
    return refused("failed to make veth pair", made.error());
  }
  side.port.name = veth.name;  // from here on there is something to undo
  side.port.mac = veth.mac;
  const auto port = find_link(socket, veth.name);
  if (!port) return refused(text({"failed to lookup ", in_quotes(veth.name)}), port.error());
  if (!*port) return fail(text({"failed to lookup ", in_quotes(veth.name), ": Link not found"}));
  side.port = **port;
  (void)set_sysctl(text({"net/ipv6/conf/", veth.name, "/accept_ra"}), "0");
  return port_steps(config, wish, side).run(socket);
}

auto wait_for_port(NetlinkSocket& socket, HostSide& side) -> Result<void> {
  std::optional<NetlinkSocket> news;
  const auto start = clock_ms();
  while (true) {
    const auto port = find_link(socket, side.port.index);
    if (!port) return refused("failed to lookup the bridge port", port.error());
    if (!*port) return fail("bridge port in error state: it vanished");
    side.port = **port;
    if (side.port.operstate == operstate_up) return {};
    const auto passed = clock_ms() - start;
    if (passed >= port_wait_ms) {
      return fail(text({"bridge port in error state: ", side.port.operstate == 2 ? "down" : "not up"}));
    }
    if (!news) {
      // Listen first, then look again: a change in between is not missed.
      auto opened = open_route_socket();
      if (!opened) return Failure(opened.error());
      const int group = RTNLGRP_LINK;
      (void)::setsockopt(opened->fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group));
      news = std::move(*opened);
      continue;
    }
    pollfd watched{news->fd(), POLLIN, 0};
    (void)::poll(&watched, 1, static_cast<int>(port_wait_ms - passed));
    std::uint8_t byte = 0;
    while (::recv(news->fd(), &byte, 1, MSG_DONTWAIT | MSG_TRUNC) > 0) {
    }
  }
}

}  // namespace weir::cni::bridge
