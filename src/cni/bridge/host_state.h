#pragma once

#include <vector>

#include "cni/bridge/config.h"
#include "cni/kernel/link.h"
#include "cni/kernel/netlink_socket.h"
#include "cni/spec/error.h"

namespace weir::cni::bridge {

// CHECK: what an ADD leaves on the host and would not succeed without, looked at again. The reference looks at none of
// it. An error names the thing and how it has to be.

// Bridge and port up, all links of the configured MTU, a bridge that filters VLANs if there are.
[[nodiscard]] auto check_links(const Config& config, const Link& bridge, const Link& port, const Link& inside)
    -> Result<void>;
// The port has the VLANs of `vlan` and `vlanTrunk`.
[[nodiscard]] auto check_vlans(NetlinkSocket& socket, const Config& config, const Link& port) -> Result<void>;
// The gateways of the attachment's addresses are on the bridge, or on `<bridge>.<vlan>`, and the host forwards.
[[nodiscard]] auto check_gateways(NetlinkSocket& socket, const Config& config, const Link& bridge,
                                  const std::vector<IpConfig>& ips) -> Result<void>;

}  // namespace weir::cni::bridge
