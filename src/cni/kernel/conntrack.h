#pragma once

#include <optional>
#include <span>

#include "cni/kernel/netlink_socket.h"
#include "cni/spec/ip.h"

namespace weir::cni {

// Deletes the connections that conntrack knows of `ips` as those who began them. Whoever has the addresses next
// would otherwise inherit them: packets that belong to an old entry pass no nat rule. `socket` is of
// NETLINK_NETFILTER. Nothing is said of what could not be deleted: entries also go by themselves.
//
// The kernel walks its whole table for each IPv4 address. Where it can delete by a filter (6.18 can, 6.8 could not)
// that is all, 0.2 to 0.4 ms with 262,144 buckets; others are asked for a list first, 3 to 9 ms. For IPv6 there is no
// filter that does what it says, so that the family's entries are listed once; for more than 16 addresses, all are.
auto forget_connections(NetlinkSocket& socket, std::span<const Ip> ips) -> void;

// The messages for one address: the deletion of its entries by filter, nullopt for IPv6; and the dump of the entries
// that may be an address's, which are all of the family where there is no filter.
[[nodiscard]] auto delete_connections(const Ip& ip) -> std::optional<Message>;
[[nodiscard]] auto list_connections(const Ip& ip) -> Message;

}  // namespace weir::cni
