#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cni/kernel/netlink_message.h"
#include "cni/kernel/nft.h"
#include "cni/kernel/refusal.h"

namespace weir::cni::bridge {

// A transaction that deletes, being built. A chain that something else jumps to (a rule, or an element of a map) is
// refused as busy, and is then left out.
class NftDeletion {
 public:
  // Forgets what was built, since the transaction was refused with `last` (code 0: this is the first time).
  auto begin_again(const Refusal& last) -> void;
  auto rule(const nft::Table& table, std::string_view chain, std::uint64_t handle) -> void;
  auto whole_chain(const nft::Table& table, const std::string& chain) -> void;
  [[nodiscard]] auto take() -> std::vector<Message> { return std::move(messages_); }

 private:
  using Key = std::pair<std::uint8_t, std::string>;  // family of the table, and name
  std::vector<Message> messages_;
  std::map<std::size_t, Key> chains_;  // by the number of the message that deletes it
  std::set<Key> busy_;
};

}  // namespace weir::cni::bridge
