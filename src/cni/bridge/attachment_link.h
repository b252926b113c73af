#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cni/bridge/config.h"
#include "cni/bridge/names.h"
#include "cni/kernel/link.h"

namespace weir::cni::bridge {

// Which links may be deleted, and nothing else decides it:
//   ours       a veth that has the host name made of (network, container, interface) and the MAC or alias
//              that only we give it;
//   prevResult a veth that has the name and the MAC which prevResult says of the host's end, and is a port
//              of this bridge: how a link is known that the reference plugin made.
[[nodiscard]] auto is_ours(const Link& link, const std::string& network, const Attachment& owner) -> bool;
[[nodiscard]] auto is_of_result(const Link& link, const std::optional<AddResult>& previous, const Config& config,
                                std::uint32_t bridge) -> bool;
// The host's end of the attachment by its name or by what prevResult says, as far as that is about the
// attachment's interface; nullopt if there is none that is known to be its.
[[nodiscard]] auto find_host_end(NetlinkSocket& socket, const Config& config, const std::string& network,
                                 const Attachment& owner, const std::optional<AddResult>& previous)
    -> Result<std::optional<Link>>;
// The same, where somebody has renamed it: the veth with the attachment's alias, among all links.
[[nodiscard]] auto find_renamed_host_end(NetlinkSocket& socket, const std::string& network, const Attachment& owner)
    -> Result<std::optional<Link>>;
// The addresses that other interfaces of the request's container have in its network: by the aliases of their links, by
// the container's namespace, if that is there, and `by_leases` of host-local's, whose lock must not be held then.
[[nodiscard]] auto addresses_of_the_others(const Request& request, bool by_leases) -> Result<std::vector<Ip>>;
// What prevResult says of the addresses that the container's interface has; and the addresses alone.
[[nodiscard]] auto ips_in(const AddResult& previous, const std::string& ifname) -> std::vector<IpConfig>;
[[nodiscard]] auto addresses_in(const std::optional<AddResult>& previous, const std::string& ifname)
    -> std::vector<Prefix>;

}  // namespace weir::cni::bridge
