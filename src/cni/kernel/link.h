#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/kernel/netlink_socket.h"
#include "cni/spec/ip.h"

namespace weir::cni {

constexpr std::uint8_t operstate_up = 6;  // RFC 2863's ifOperStatus, as linux/if.h's IF_OPER_UP numbers it

// What rtnetlink says of a network interface.
struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::string kind;  // "bridge", "veth", ...; "" of real hardware
  std::string alias;
  Mac mac{};
  std::uint32_t mtu = 0;
  std::uint32_t master = 0;                // index of the bridge that it is a port of, or 0
  std::uint32_t peer = 0;                  // index of a veth's other end, in that end's namespace
  std::optional<std::int32_t> peer_netns;  // which is the kernel's number of it here; nullopt: our own
  std::uint32_t flags = 0;                 // IFF_*
  std::uint8_t operstate = 0;              // IF_OPER_*
  // Of a bridge.
  bool vlan_filtering = false;
  std::uint16_t default_vlan = 0;  // what its ports get; 0: none
  // Of a bridge's port.
  bool hairpin = false;
  bool isolated = false;
};
[[nodiscard]] auto parse_link(std::span<const std::uint8_t> payload) -> Link;

// nullopt if there is none of that name or index.
[[nodiscard]] auto find_link(NetlinkSocket& socket, std::string_view name) -> Answer<std::optional<Link>>;
[[nodiscard]] auto find_link(NetlinkSocket& socket, std::uint32_t index) -> Answer<std::optional<Link>>;
// The ports of a bridge, or with 0 all links.
[[nodiscard]] auto list_ports(NetlinkSocket& socket, std::uint32_t bridge) -> Answer<std::vector<Link>>;

// Whether the namespace of a veth's other end is no more: nothing holds it, and the kernel, which takes its links apart
// some time later, has not come to this one yet.
[[nodiscard]] auto is_peer_dead(NetlinkSocket& socket, const Link& link) -> bool;

struct BridgeWish {
  std::string name;
  std::optional<Mac> mac;  // nullopt: the kernel draws one
  std::uint32_t mtu = 0;   // 0: the kernel's choice
  bool vlan_filtering = false;
};
// Creates it, up; EEXIST if the name is taken.
[[nodiscard]] auto new_bridge(const BridgeWish& wish) -> Message;

struct VethWish {
  std::string name;  // of our end, which becomes a port of `master`, up
  Mac mac{};
  std::uint32_t master = 0;  // 0: none
  std::uint32_t mtu = 0;
  std::string peer_name;
  Mac peer_mac{};
  int peer_netns = -1;  // a descriptor; -1: ours
};
[[nodiscard]] auto new_veth(const VethWish& wish) -> Message;

[[nodiscard]] auto set_up(std::uint32_t index, bool up = true) -> Message;
[[nodiscard]] auto set_alias(std::uint32_t index, std::string_view alias) -> Message;
[[nodiscard]] auto set_mac(std::uint32_t index, const Mac& mac) -> Message;
[[nodiscard]] auto set_mtu(std::uint32_t index, std::uint32_t mtu) -> Message;
[[nodiscard]] auto set_promiscuous(std::uint32_t index, bool on = true) -> Message;
[[nodiscard]] auto set_vlan_filtering(std::uint32_t index) -> Message;
[[nodiscard]] auto delete_link(std::uint32_t index) -> Message;
// Bridge port flags; those that are nullopt stay.
[[nodiscard]] auto set_port(std::uint32_t index, std::optional<bool> hairpin, std::optional<bool> isolated) -> Message;

// VLANs of a bridge port (bridge(8), "vlan"): untagged with `pvid`, or tagged.
[[nodiscard]] auto add_vlan(std::uint32_t index, std::uint16_t id, bool native) -> Message;
[[nodiscard]] auto delete_vlan(std::uint32_t index, std::uint16_t id) -> Message;
struct PortVlan {
  std::uint16_t id = 0;
  bool native = false;  // untagged with `pvid`
};
// None where the kernel does not filter VLANs.
[[nodiscard]] auto list_vlans(NetlinkSocket& socket, std::uint32_t index) -> Answer<std::vector<PortVlan>>;
// Those of the port `index` out of one payload of a dump.
auto parse_vlans(std::span<const std::uint8_t> payload, std::uint32_t index, std::vector<PortVlan>& into) -> void;

}  // namespace weir::cni
