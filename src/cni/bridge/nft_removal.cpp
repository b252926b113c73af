#include "cni/bridge/nft_removal.h"

#include "cni/bridge/nft_change.h"
#include "cni/bridge/nft_deletion.h"
#include "cni/bridge/nft_masquerade.h"

namespace weir::cni::bridge {

namespace {

auto removal_messages(NetlinkSocket& socket, const NftRemoval& removal, NftDeletion& deletion) -> Messages {
  if (removal.masquerade_goes) {
    if (auto good = delete_masquerade(socket, removal.masquerade_goes, deletion); !good) {
      return tl::unexpected(good.error());
    }
  }
  if (removal.spoof_checks.goes) {
    if (auto good = delete_spoof_checks(socket, removal.spoof_checks, deletion); !good) {
      return tl::unexpected(good.error());
    }
  }
  for (const auto family : removal.nat.families) {
    if (auto good = delete_nat(socket, family, removal.nat, deletion); !good) return tl::unexpected(good.error());
  }
  return deletion.take();
}

}  // namespace

auto remove_nft(NetlinkSocket& socket, const NftRemoval& removal) -> Result<bool> {
  NftDeletion deletion;
  bool any = false;
  const auto done = change(socket, "failed to remove nftables rules", [&](const Refusal& last) {
    deletion.begin_again(last);
    auto messages = removal_messages(socket, removal, deletion);
    any = any || (messages && !messages->empty());
    return messages;
  });
  if (!done) return Failure(done.error());
  return any;
}

}  // namespace weir::cni::bridge
