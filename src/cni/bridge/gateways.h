#pragma once

#include <optional>
#include <vector>

#include "cni/bridge/config.h"
#include "cni/bridge/host_side.h"
#include "cni/kernel/link.h"
#include "cni/kernel/netlink.h"

namespace weir::cni::bridge {

// The addresses of an attachment's gateways, which all containers of the bridge share.

// An error if the bridge has addresses that speak against `gateways`, before the bridge is changed. Those of a VLAN's
// gateway, and what has changed since, set_gateways refuses.
[[nodiscard]] auto refuse_conflicts(NetlinkSocket& socket, const Config& config, const Link& bridge,
                                    const std::vector<Prefix>& gateways) -> Result<void>;
// Puts the gateways' addresses on the bridge, or with a VLAN on `<bridge>.<vlan>`, whose name and MAC then
// come back as an interface of the result; pins the bridge's MAC if it may not be its own; lets the host forward. Where
// it fails, the addresses are as they were. The last step of an ADD: as soon as it is done, others may rely on it.
[[nodiscard]] auto set_gateways(NetlinkSocket& socket, const Config& config, const std::vector<Prefix>& gateways,
                                HostSide& side) -> Result<std::optional<Link>>;

}  // namespace weir::cni::bridge
