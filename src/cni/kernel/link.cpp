#include "cni/kernel/link.h"

#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "cni/kernel/netlink_attributes.h"

namespace weir::cni {
namespace {

auto about(std::uint32_t index, unsigned flags = 0, unsigned change = 0) -> ifinfomsg {
  ifinfomsg info{};
  info.ifi_family = AF_UNSPEC;
  info.ifi_index = static_cast<int>(index);
  info.ifi_flags = flags;
  info.ifi_change = change;
  return info;
}

auto change_link(std::uint32_t index, unsigned flags = 0, unsigned change = 0) -> Message {
  Message message(RTM_NEWLINK, NLM_F_ACK);
  message.put(about(index, flags, change));
  return message;
}

auto find(NetlinkSocket& socket, Message message) -> Answer<std::optional<Link>> {
  std::optional<Link> found;
  const auto answer = socket.ask(std::move(message), [&](auto payload) { found = parse_link(payload); });
  if (!answer && answer.error().code != ENODEV) return tl::unexpected(answer.error());
  return found;
}

}  // namespace

auto parse_link(std::span<const std::uint8_t> payload) -> Link {
  Link link;
  ifinfomsg info{};
  if (payload.size() < sizeof(info)) return link;
  std::memcpy(&info, payload.data(), sizeof(info));
  const Attributes attributes(payload.subspan(sizeof(info)));
  const auto details = attributes.nested(IFLA_LINKINFO);
  link.index = static_cast<std::uint32_t>(info.ifi_index);
  link.flags = info.ifi_flags;
  link.name = attributes.text(IFLA_IFNAME);
  link.alias = attributes.text(IFLA_IFALIAS);
  link.kind = details.text(IFLA_INFO_KIND);
  link.mac = attributes.number<Mac>(IFLA_ADDRESS).value_or(Mac{});
  link.mtu = attributes.number<std::uint32_t>(IFLA_MTU).value_or(0);
  link.master = attributes.number<std::uint32_t>(IFLA_MASTER).value_or(0);
  link.peer = attributes.number<std::uint32_t>(IFLA_LINK).value_or(0);
  link.peer_netns = attributes.number<std::int32_t>(IFLA_LINK_NETNSID);
  link.operstate = attributes.number<std::uint8_t>(IFLA_OPERSTATE).value_or(0);
  if (link.kind == "bridge") {
    const auto data = details.nested(IFLA_INFO_DATA);
    link.vlan_filtering = data.number<std::uint8_t>(IFLA_BR_VLAN_FILTERING).value_or(0) != 0;
    link.default_vlan = data.number<std::uint16_t>(IFLA_BR_VLAN_DEFAULT_PVID).value_or(0);
  }
  if (details.text(IFLA_INFO_SLAVE_KIND) == "bridge") {
    const auto port = details.nested(IFLA_INFO_SLAVE_DATA);
    link.hairpin = port.number<std::uint8_t>(IFLA_BRPORT_MODE).value_or(0) != 0;
    link.isolated = port.number<std::uint8_t>(IFLA_BRPORT_ISOLATED).value_or(0) != 0;
  }
  return link;
}

auto find_link(NetlinkSocket& socket, std::string_view name) -> Answer<std::optional<Link>> {
  if (name.find('\0') != std::string_view::npos) return std::nullopt;  // the kernel would take it for the end
  Message message(RTM_GETLINK, NLM_F_ACK);
  message.put(about(0)).text(IFLA_IFNAME, name);
  return find(socket, std::move(message));
}

auto find_link(NetlinkSocket& socket, std::uint32_t index) -> Answer<std::optional<Link>> {
  Message message(RTM_GETLINK, NLM_F_ACK);
  message.put(about(index));
  return find(socket, std::move(message));
}

auto list_ports(NetlinkSocket& socket, std::uint32_t bridge) -> Answer<std::vector<Link>> {
  std::vector<Link> links;
  const auto make = [&] {
    Message message(RTM_GETLINK, NLM_F_DUMP);
    message.put(about(0));
    if (bridge != 0) message.number(IFLA_MASTER, bridge);
    return message;
  };
  const auto answer = socket.dump(
      make, [&] { links.clear(); },
      [&](auto payload) {
        auto link = parse_link(payload);
        if (bridge == 0 || link.master == bridge) links.push_back(std::move(link));
      });
  if (!answer) return tl::unexpected(answer.error());
  return links;
}

auto is_peer_dead(NetlinkSocket& socket, const Link& link) -> bool {
  if (!link.peer_netns) return false;
  if (*link.peer_netns < 0) return true;  // the kernel no longer gives it a number
  Message message(RTM_GETLINK, NLM_F_ACK);
  message.put(about(link.peer)).number(IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(*link.peer_netns));
  const auto answer = socket.ask(std::move(message), [](auto) {});
  return !answer && answer.error().code == EINVAL;  // "invalid target network namespace ID"
}

auto new_bridge(const BridgeWish& wish) -> Message {
  Message message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  message.put(about(0, IFF_UP, IFF_UP)).text(IFLA_IFNAME, wish.name);
  if (wish.mac) message.bytes(IFLA_ADDRESS, *wish.mac);
  if (wish.mtu != 0) message.number(IFLA_MTU, wish.mtu);
  message.nest(IFLA_LINKINFO, [&](Message& info) {
    info.text(IFLA_INFO_KIND, "bridge");
    if (!wish.vlan_filtering) return;
    info.nest(IFLA_INFO_DATA, [](Message& data) { data.number(IFLA_BR_VLAN_FILTERING, std::uint8_t{1}); });
  });
  return message;
}

auto new_veth(const VethWish& wish) -> Message {
  Message message(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  message.put(about(0, IFF_UP, IFF_UP)).text(IFLA_IFNAME, wish.name).bytes(IFLA_ADDRESS, wish.mac);
  if (wish.mtu != 0) message.number(IFLA_MTU, wish.mtu);
  if (wish.master != 0) message.number(IFLA_MASTER, wish.master);
  message.nest(IFLA_LINKINFO, [&](Message& info) {
    info.text(IFLA_INFO_KIND, "veth");
    info.nest(IFLA_INFO_DATA, [&](Message& data) {
      data.nest(VETH_INFO_PEER, [&](Message& peer) {
        peer.put(about(0)).text(IFLA_IFNAME, wish.peer_name).bytes(IFLA_ADDRESS, wish.peer_mac);
        if (wish.mtu != 0) peer.number(IFLA_MTU, wish.mtu);
        if (wish.peer_netns >= 0) peer.number(IFLA_NET_NS_FD, static_cast<std::uint32_t>(wish.peer_netns));
      });
    });
  });
  return message;
}

auto set_up(std::uint32_t index, bool up) -> Message { return change_link(index, up ? IFF_UP : 0, IFF_UP); }

auto set_promiscuous(std::uint32_t index, bool on) -> Message {
  return change_link(index, on ? IFF_PROMISC : 0, IFF_PROMISC);
}

auto set_alias(std::uint32_t index, std::string_view alias) -> Message {
  auto message = change_link(index);
  message.bytes(IFLA_IFALIAS, {reinterpret_cast<const std::uint8_t*>(alias.data()), alias.size()});
  return message;
}

auto set_mac(std::uint32_t index, const Mac& mac) -> Message {
  auto message = change_link(index);
  message.bytes(IFLA_ADDRESS, mac);
  return message;
}

auto set_mtu(std::uint32_t index, std::uint32_t mtu) -> Message {
  auto message = change_link(index);
  message.number(IFLA_MTU, mtu);
  return message;
}

auto set_vlan_filtering(std::uint32_t index) -> Message {
  auto message = change_link(index);
  message.nest(IFLA_LINKINFO, [](Message& info) {
    info.text(IFLA_INFO_KIND, "bridge");
    info.nest(IFLA_INFO_DATA, [](Message& data) { data.number(IFLA_BR_VLAN_FILTERING, std::uint8_t{1}); });
  });
  return message;
}

auto delete_link(std::uint32_t index) -> Message {
  Message message(RTM_DELLINK, NLM_F_ACK);
  message.put(about(index));
  return message;
}

auto set_port(std::uint32_t index, std::optional<bool> hairpin, std::optional<bool> isolated) -> Message {
  Message message(RTM_SETLINK, NLM_F_ACK);
  auto info = about(index);
  info.ifi_family = AF_BRIDGE;
  message.put(info).nest(IFLA_PROTINFO, [&](Message& port) {
    if (hairpin) port.number(IFLA_BRPORT_MODE, static_cast<std::uint8_t>(*hairpin));
    if (isolated) port.number(IFLA_BRPORT_ISOLATED, static_cast<std::uint8_t>(*isolated));
  });
  return message;
}

namespace {

auto vlan(std::uint16_t type, std::uint32_t index, bridge_vlan_info info) -> Message {
  Message message(type, NLM_F_ACK);
  auto link = about(index);
  link.ifi_family = AF_BRIDGE;
  message.put(link).nest(IFLA_AF_SPEC, [&](Message& spec) { spec.number(IFLA_BRIDGE_VLAN_INFO, info); });
  return message;
}

}  // namespace

auto add_vlan(std::uint32_t index, std::uint16_t id, bool native) -> Message {
  const auto flags = native ? BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED : 0;
  return vlan(RTM_SETLINK, index, {.flags = static_cast<std::uint16_t>(flags), .vid = id});
}

auto delete_vlan(std::uint32_t index, std::uint16_t id) -> Message {
  return vlan(RTM_DELLINK, index, {.flags = 0, .vid = id});
}

auto parse_vlans(std::span<const std::uint8_t> payload, std::uint32_t index, std::vector<PortVlan>& into) -> void {
  ifinfomsg info{};
  if (payload.size() < sizeof(info)) return;
  std::memcpy(&info, payload.data(), sizeof(info));
  if (static_cast<std::uint32_t>(info.ifi_index) != index) return;
  const auto list = Attributes(payload.subspan(sizeof(info))).nested(IFLA_AF_SPEC);
  list.for_each([&](std::uint16_t type, std::span<const std::uint8_t> value) {
    bridge_vlan_info one{};
    if (type != IFLA_BRIDGE_VLAN_INFO || value.size() < sizeof(one)) return;
    std::memcpy(&one, value.data(), sizeof(one));
    constexpr unsigned native = BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED;
    into.push_back({one.vid, (one.flags & native) == native});
  });
}

auto list_vlans(NetlinkSocket& socket, std::uint32_t index) -> Answer<std::vector<PortVlan>> {
  std::vector<PortVlan> found;
  const auto make = [] {
    Message message(RTM_GETLINK, NLM_F_DUMP);
    auto all = about(0);
    all.ifi_family = AF_BRIDGE;
    message.put(all).number(IFLA_EXT_MASK, std::uint32_t{RTEXT_FILTER_BRVLAN});
    return message;
  };
  const auto answer = socket.dump(
      make, [&] { found.clear(); }, [&](auto payload) { parse_vlans(payload, index, found); });
  if (!answer) return tl::unexpected(answer.error());
  return found;
}

}  // namespace weir::cni
