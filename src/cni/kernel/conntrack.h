#pragma once

#include <span>

#include "cni/kernel/netlink.h"
#include "cni/spec/ip.h"

namespace weir::cni {

// Deletes the connections that conntrack knows of `ips` as those who began them. Whoever has the addresses next
// would otherwise inherit them: packets that belong to an old entry pass no nat rule. Each dump walks the whole
// table: 9 ms with 262,144 buckets, however few entries there are. So where there are `few` all are listed at
// once; else the kernel lists an address's own, one after the other.
// `socket` is of NETLINK_NETFILTER. Nothing is said of what could not be deleted: entries also go by themselves.
auto forget_connections(NetlinkSocket& socket, std::span<const Ip> ips, bool few) -> void;

// The dump that finds those of one.
[[nodiscard]] auto list_connections(const Ip& ip) -> Message;

}  // namespace weir::cni
