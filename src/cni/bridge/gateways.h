#pragma once

#include <optional>
#include <vector>

#include "cni/bridge/config.h"
#include "cni/bridge/host_side.h"
#include "cni/kernel/link.h"
#include "cni/kernel/netlink_socket.h"

namespace weir::cni::bridge {

// The addresses of an attachment's gateways, which all containers of the bridge share.

// Looks at the bridge's addresses before the bridge is changed: an error if they speak against `gateways`, else whether
// all of those are there already. Not where an address would be forced or a VLAN has the gateway: false then.
[[nodiscard]] auto has_gateways(NetlinkSocket& socket, const Config& config, const Link& bridge,
                                const std::vector<Prefix>& gateways) -> Result<bool>;
// Puts the gateways' addresses on the bridge, or with a VLAN on `<bridge>.<vlan>`, whose name and MAC then
// come back as an interface of the result; pins the bridge's MAC if it may not be its own; lets the host forward. Where
// it fails, the addresses are as they were. The last step of an ADD: as soon as it is done, others may rely on it.
// `are_there` is what has_gateways said.
[[nodiscard]] auto set_gateways(NetlinkSocket& socket, const Config& config, const std::vector<Prefix>& gateways,
                                bool are_there, HostSide& side) -> Result<std::optional<Link>>;

}  // namespace weir::cni::bridge
