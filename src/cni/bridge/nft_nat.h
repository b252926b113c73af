#pragma once

#include <string>
#include <vector>

#include "cni/bridge/nat_table.h"
#include "cni/bridge/nft_deletion.h"
#include "cni/kernel/netlink_socket.h"
#include "cni/spec/ip.h"

namespace weir::cni::bridge {

// What iptables-nft has made of the rules that were given to iptables-restore, looked at and deleted without iptables'
// programs:
//   tables ip nat, ip6 nat              chains CNI-<hash> and the jumps to them

// iptables-nft's nat table with its rules as iptables-save prints them, as far as an attachment's are made of: the
// rules of POSTROUTING and of `chain`, or with "" all of them. A kernel of thousands of rules (kube-proxy's) is read
// as a whole only where it must be: others change it meanwhile, and the list would have to be begun again.
[[nodiscard]] auto list_nat(NetlinkSocket& socket, Family family, const std::string& chain) -> Answer<NatTable>;

// What choose_nat_removal names with `goes`; `chain` even if it has lost its rules. With a `chain` only that chain's
// rules and POSTROUTING's are looked at.
struct NatChains {
  std::vector<Family> families;
  Goes goes;
  std::string chain;
};
// Puts those of one family into `deletion`.
[[nodiscard]] auto delete_nat(NetlinkSocket& socket, Family family, const NatChains& which, NftDeletion& deletion)
    -> Answer<void>;

}  // namespace weir::cni::bridge
