#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/bridge/nft_deletion.h"
#include "cni/kernel/netlink_socket.h"
#include "cni/spec/error.h"
#include "cni/spec/ip.h"
#include "cni/spec/plugin.h"

namespace weir::cni::bridge {

// Masquerading by the backend nftables, in the reference's table and words:
//   table inet cni_plugins_masquerade   one rule an address in chain masq_checks

[[nodiscard]] auto add_masquerade(NetlinkSocket& socket, std::string_view network, const Attachment& owner,
                                  const std::vector<Prefix>& addresses) -> Result<void>;
// Masquerade rules by the hash that their comments begin with, and the address that they are about if they are about
// one alone; none if packets are not led to them.
struct MasqueradeRule {
  std::string hash;
  std::optional<Ip> address;
};
[[nodiscard]] auto list_masquerade(NetlinkSocket& socket) -> Result<std::vector<MasqueradeRule>>;
// Puts the rules whose hash `goes` into `deletion`.
[[nodiscard]] auto delete_masquerade(NetlinkSocket& socket, const std::function<bool(std::string_view hash)>& goes,
                                     NftDeletion& deletion) -> Answer<void>;

}  // namespace weir::cni::bridge
