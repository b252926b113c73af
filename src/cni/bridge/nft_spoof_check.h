#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/bridge/nft_deletion.h"
#include "cni/kernel/netlink_socket.h"
#include "cni/spec/error.h"
#include "cni/spec/ip.h"
#include "cni/spec/plugin.h"

namespace weir::cni::bridge {

// The MAC filter (macspoofchk), in the reference's table and words:
//   table bridge nat                    chains cni-br-iface-<id>-<if>[-mac]

// Packets that come in from `link` must carry `mac` as their source.
[[nodiscard]] auto add_spoof_check(NetlinkSocket& socket, const Attachment& owner, std::string_view link,
                                   const Mac& mac) -> Result<void>;
[[nodiscard]] auto has_spoof_check(NetlinkSocket& socket, const Attachment& owner, std::string_view link,
                                   const Mac& mac) -> Result<bool>;

// The spoof checks whose "<container>-<interface>" and link `goes`; chains of `ids` even if they have lost their rules.
struct SpoofChecks {
  std::function<bool(std::string_view id, std::string_view link)> goes;  // null: none
  std::vector<std::string> ids;
};
// Puts them into `deletion`.
[[nodiscard]] auto delete_spoof_checks(NetlinkSocket& socket, const SpoofChecks& which, NftDeletion& deletion)
    -> Answer<void>;

}  // namespace weir::cni::bridge
