#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/bridge/nat_table.h"
#include "cni/kernel/netlink.h"
#include "cni/spec/error.h"
#include "cni/spec/ip.h"
#include "cni/spec/plugin.h"

namespace weir::cni::bridge {

// What the plugin keeps in nf_tables, in the reference's tables and words:
//   table inet cni_plugins_masquerade   one rule an address in chain masq_checks (backend nftables)
//   table bridge nat                    the MAC filter (macspoofchk): chains cni-br-iface-<id>-<if>[-mac]
// and, to be looked at and deleted only, what iptables-nft has made of the rules that were given to iptables-restore:
//   tables ip nat, ip6 nat              chains CNI-<hash> and the jumps to them
// An addition is one transaction that only adds: an update or deletion in it would cost 15 ms at the
// socket's close, in a plugin whose whole ADD takes four. Tables and base chains are never deleted.

[[nodiscard]] auto add_masquerade(NetlinkSocket& socket, std::string_view network, const Attachment& owner,
                                  const std::vector<Prefix>& addresses) -> Result<void>;
// Masquerade rules by the hash that their comments begin with; none if packets are not led to them.
[[nodiscard]] auto masquerade_hashes(NetlinkSocket& socket) -> Result<std::vector<std::string>>;

// iptables-nft's nat table with its rules as iptables-save prints them, as far as an attachment's are made of: the
// rules of POSTROUTING and of `chain`, or with "" all of them. A kernel of thousands of rules (kube-proxy's) is read
// as a whole only where it must be: others change it meanwhile, and the list would have to be begun again.
[[nodiscard]] auto list_nat(NetlinkSocket& socket, Family family, const std::string& chain) -> Answer<NatTable>;

// Packets that come in from `link` must carry `mac` as their source.
[[nodiscard]] auto add_spoof_check(NetlinkSocket& socket, const Attachment& owner, std::string_view link,
                                   const Mac& mac) -> Result<void>;
[[nodiscard]] auto has_spoof_check(NetlinkSocket& socket, const Attachment& owner, std::string_view link,
                                   const Mac& mac) -> Result<bool>;

// Deletes, in one transaction, the masquerade rules whose hash `masquerade_goes`, the spoof checks whose
// "<container>-<interface>" and link `spoof_goes`, and of the nat tables of `nat_families` what
// choose_nat_removal names. Chains of `spoof_ids` and `nat_chain` go even if they have lost their rules. A chain that
// something else uses stays. With a `nat_chain` only that chain's rules and POSTROUTING's are looked at.
//
// One transaction instead of iptables' programs: after a deletion the kernel waits for a grace period, some
// 15 ms, whenever such a socket is closed, and meanwhile lets nobody change anything. Two iptables-restore
// (IPv4, IPv6), each with an iptables-save before it, waited one after the other: DEL took 25 ms longer.
struct NftRemoval {
  std::function<bool(std::string_view hash)> masquerade_goes;
  std::function<bool(std::string_view id, std::string_view link)> spoof_goes;
  std::vector<std::string> spoof_ids;
  std::vector<Family> nat_families;
  Goes nat_goes;
  std::string nat_chain;
};
[[nodiscard]] auto remove_nft(NetlinkSocket& socket, const NftRemoval& removal) -> Result<void>;

}  // namespace weir::cni::bridge
