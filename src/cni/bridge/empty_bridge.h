#pragma once

#include <string_view>

#include "cni/bridge/config.h"
#include "cni/bridge/host_side.h"
#include "cni/kernel/netlink_socket.h"

namespace weir::cni::bridge {

// A bridge without ports but those that ADD itself put there: the ends of `<bridge>.<vlan>` gateway links.

// What tells such an end from a container's: its alias, and its name, which is made of the gateway's.
[[nodiscard]] auto gateway_alias(const std::string& gateway) -> std::string;
[[nodiscard]] auto gateway_port(const std::string& bridge, const std::string& gateway) -> std::string;
[[nodiscard]] auto is_gateway_port(const Link& port, const std::string& bridge) -> bool;

// A bridge that an ADD made has this alias until an ADD, that one or another, has succeeded on it.
inline constexpr std::string_view unfinished_alias = "cni: no attachment yet";
auto finish_bridge(NetlinkSocket& socket, const Link& bridge) -> void;

// Undoes what a failed ADD made and changed, when its own port is gone: unless somebody else has a port by now, the
// gateways' addresses and link, the settings of a bridge that was there, and a bridge that no ADD has succeeded on.
auto undo_bridge(NetlinkSocket& socket, const Config& config, const HostSide& side) -> void;

// For a network with removeEmptyBridge: the bridge and its gateway links go if no other port is left. Nothing
// happens if there is no bridge. `left` is the index of the bridge that a port has been deleted from, which may have
// had another name then; 0 if that is not known. Holds HostLock "bridge", as an ADD does while it attaches.
[[nodiscard]] auto remove_empty_bridge(NetlinkSocket& socket, const Config& config, std::uint32_t left = 0)
    -> Result<void>;

}  // namespace weir::cni::bridge
