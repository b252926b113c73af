#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/kernel/netlink.h"
#include "cni/spec/error.h"
#include "cni/spec/ip.h"
#include "cni/spec/plugin.h"

namespace weir::cni::bridge {

// What the plugin keeps in nf_tables, in the reference's tables and words:
//   table inet cni_plugins_masquerade   one rule an address in chain masq_checks (backend nftables)
//   table bridge nat                    the MAC filter (macspoofchk): chains cni-br-iface-<id>-<if>[-mac]
// An addition is one transaction that only adds: an update or deletion in it would cost 15 ms at the
// socket's close, in a plugin whose whole ADD takes four. Tables and base chains are never deleted.

[[nodiscard]] auto add_masquerade(NetlinkSocket& socket, std::string_view network, const Attachment& owner,
                                  const std::vector<Prefix>& addresses) -> Result<void>;
// Masquerade rules of this network by the hash that their comments begin with.
[[nodiscard]] auto masquerade_hashes(NetlinkSocket& socket) -> Result<std::vector<std::string>>;

// Packets that come in from `link` must carry `mac` as their source.
[[nodiscard]] auto add_spoof_check(NetlinkSocket& socket, const Attachment& owner, std::string_view link,
                                   const Mac& mac) -> Result<void>;
[[nodiscard]] auto has_spoof_check(NetlinkSocket& socket, const Attachment& owner, std::string_view link)
    -> Result<bool>;

// Deletes, in one transaction, the masquerade rules whose hash `masquerade_goes` and the spoof checks whose
// "<container>-<interface>" and link `spoof_goes`. `spoof_ids` name checks whose chains are to go even if no
// rule jumps to them.
struct NftRemoval {
  std::function<bool(std::string_view hash)> masquerade_goes;
  std::function<bool(std::string_view id, std::string_view link)> spoof_goes;
  std::vector<std::string> spoof_ids;
};
[[nodiscard]] auto remove_nft(NetlinkSocket& socket, const NftRemoval& removal) -> Result<void>;

}  // namespace weir::cni::bridge
