#pragma once

#include <functional>
#include <string_view>

#include "cni/bridge/nft_nat.h"
#include "cni/bridge/nft_spoof_check.h"
#include "cni/kernel/netlink_socket.h"
#include "cni/spec/error.h"

namespace weir::cni::bridge {

// What goes in one transaction: the masquerade rules whose hash `masquerade_goes` (null: none), spoof checks, and what
// is left of rules in the nat tables. A chain that something else uses stays.
//
// One transaction instead of iptables' programs: after a deletion the kernel waits for a grace period, some
// 15 ms, whenever such a socket is closed, and meanwhile lets nobody change anything. Two iptables-restore
// (IPv4, IPv6), each with an iptables-save before it, waited one after the other: DEL took 25 ms longer.
struct NftRemoval {
  std::function<bool(std::string_view hash)> masquerade_goes;
  SpoofChecks spoof_checks;
  NatChains nat;
};
// Whether there was anything to remove.
[[nodiscard]] auto remove_nft(NetlinkSocket& socket, const NftRemoval& removal) -> Result<bool>;

}  // namespace weir::cni::bridge
