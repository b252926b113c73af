#include "cni/bridge/nft_deletion.h"

#include <cerrno>

namespace weir::cni::bridge {

auto NftDeletion::begin_again(const Refusal& last) -> void {
  const auto at = chains_.find(last.message);
  if (last.code == EBUSY && at != chains_.end()) busy_.insert(at->second);
  chains_.clear();
  messages_.clear();
}

auto NftDeletion::rule(const nft::Table& table, std::string_view chain, std::uint64_t handle) -> void {
  messages_.push_back(nft::delete_rule(table, chain, handle));
}

auto NftDeletion::whole_chain(const nft::Table& table, const std::string& chain) -> void {
  const Key key(table.family, chain);
  if (busy_.contains(key)) return;
  messages_.push_back(nft::flush_chain(table, chain));
  chains_[messages_.size()] = key;
  messages_.push_back(nft::delete_chain(table, chain));
}

}  // namespace weir::cni::bridge
