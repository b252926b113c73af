#pragma once

#include <cstdint>
#include <vector>

#include "cni/kernel/netlink_socket.h"
#include "cni/spec/ip.h"
#include "cni/spec/result.h"

namespace weir::cni {

struct InterfaceAddress {
  Prefix prefix;
  bool tentative = false;  // IPv6: duplicate address detection still runs
  bool duplicate = false;  // and found one
};
// The addresses of one link, both families.
[[nodiscard]] auto list_addresses(NetlinkSocket& socket, std::uint32_t index) -> Answer<std::vector<InterfaceAddress>>;

// An address of global scope, with its broadcast address for IPv4 prefixes up to /30. `detect_duplicates`
// false: an IPv6 address is usable at once (IFA_F_NODAD) instead of after a second or two.
[[nodiscard]] auto new_address(std::uint32_t index, const Prefix& address, bool detect_duplicates) -> Message;
[[nodiscard]] auto delete_address(std::uint32_t index, const Prefix& address) -> Message;

// Whether packets to `ip`, an address of the link `index`, are taken in. An IPv6 address that has been added is not at
// once, even without duplicate address detection: a task of the kernel's does that, when nobody else changes anything
// in the network. `unknown` where somebody's routing rules come before the kernel's own.
enum class TakenIn { yes, not_yet, unknown };
[[nodiscard]] auto is_taken_in(NetlinkSocket& socket, std::uint32_t index, const Ip& ip) -> TakenIn;

// Forgets which MAC answered for `ip` on `index`; ENOENT if nobody did.
[[nodiscard]] auto forget_neighbour(std::uint32_t index, const Ip& ip) -> Message;

// A route through `index`. It may join others to the same destination; only an equal one is refused.
[[nodiscard]] auto new_route(std::uint32_t index, const Route& route) -> Message;
// All unicast routes of both families and every table, each with its link.
struct KernelRoute {
  Route route;
  std::uint32_t index = 0;
};
[[nodiscard]] auto list_routes(NetlinkSocket& socket) -> Answer<std::vector<KernelRoute>>;

}  // namespace weir::cni
