#pragma once

#include "cni/kernel/netlink.h"
#include "cni/spec/ip.h"

namespace weir::cni {

// Deletes the connections that conntrack knows of `ip` as the one who began them. Whoever has the address next
// would otherwise inherit them: packets that belong to an old entry pass no nat rule.
// `socket` is of NETLINK_NETFILTER. Nothing is said of what could not be deleted: entries also go by themselves.
auto forget_connections(NetlinkSocket& socket, const Ip& ip) -> void;

// The dump that finds them.
[[nodiscard]] auto list_connections(const Ip& ip) -> Message;

}  // namespace weir::cni
