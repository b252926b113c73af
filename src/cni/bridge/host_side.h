#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cni/bridge/config.h"
#include "cni/bridge/names.h"
#include "cni/kernel/link.h"
#include "cni/kernel/netlink_socket.h"

namespace weir::cni::bridge {

// The host's half of an attachment: the bridge, our end of the pair as its port, the gateway's addresses. And what an
// ADD that fails has to take back.
struct HostSide {
  Link bridge;
  bool made_bridge = false;
  bool bridge_has_own_mac = false;          // that no port changes, as far as can be told
  std::optional<std::uint32_t> mtu_before;  // of a bridge whose MTU was changed
  bool made_promiscuous = false;
  Link port;
  std::uint32_t gateway_link = 0;       // that has the gateways' addresses: the bridge, or `<bridge>.<vlan>`
  std::vector<Prefix> added_gateways;   // that were not on it before
  std::uint32_t made_gateway_port = 0;  // the bridge's end of `<bridge>.<vlan>`, if this ADD made it
};

// The bridge as it is; nullopt if there is none. Another kind of link of that name is an error.
[[nodiscard]] auto find_bridge(NetlinkSocket& socket, const std::string& name) -> Result<std::optional<Link>>;
// Finds or makes the bridge, and gives it what the configuration says of it, and a MAC of its own.
[[nodiscard]] auto ensure_bridge(NetlinkSocket& socket, const Config& config, HostSide& side) -> Result<void>;

// Makes the pair; the other end appears in `netns` as `ifname`, down.
struct PairWish {
  std::string network;
  Attachment owner;
  std::vector<IpConfig> addresses;  // for the alias
  int netns = -1;
  Mac container_mac{};
};
[[nodiscard]] auto make_pair(NetlinkSocket& socket, const Config& config, const PairWish& wish, HostSide& side)
    -> Result<void>;
// Writes the alias again, for addresses that were not known when the pair was made.
[[nodiscard]] auto name_port(NetlinkSocket& socket, const PairWish& wish, const HostSide& side) -> Result<void>;

// Waits until the port forwards; the reference gives it 2.55 s.
[[nodiscard]] auto wait_for_port(NetlinkSocket& socket, HostSide& side) -> Result<void>;

}  // namespace weir::cni::bridge
