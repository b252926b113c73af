#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/spec/ip.h"

namespace weir::cni::bridge {

// What stands in a nat table of iptables, whoever read it: `iptables-save` (iptables.h), or the kernel where
// iptables-nft keeps it (nft_nat.h). Here it is decided what may go; nothing is read or changed.

enum class Family { v4, v6 };

struct NatRule {
  std::string chain;
  std::string jump;     // the chain of a jump or goto, or the target's name
  std::string comment;  // unquoted
  std::optional<Prefix> source;
  std::string line;          // whole, "-A CHAIN ...", as iptables-save prints it
  std::uint64_t handle = 0;  // as nf_tables counts its rules
};
struct NatTable {
  std::vector<std::string> chains;
  std::vector<NatRule> rules;
  [[nodiscard]] auto has_chain(std::string_view name) const -> bool;
};

// network and container of a comment that iptables_comment (names.h) could have written; where that was cut, as far
// as they are in it. The chain is theirs: a hash of both, or of a cut comment the one that the rule is in or jumps to.
struct NatOwner {
  std::string network;
  std::string container;
  bool is_cut = false;
  std::string chain;  // filled in by choose_nat_removal
};
[[nodiscard]] auto parse_nat_comment(std::string_view comment) -> std::optional<NatOwner>;

// The jumps from POSTROUTING to their owner's chain, and the rules in it, for which `goes` is true: the jumps that
// go, and every chain of any of them that no other of `rules` jumps to. Points into `rules`.
using Goes = std::function<bool(const NatOwner& owner, const NatRule& rule)>;
struct NatRemoval {
  std::vector<const NatRule*> jumps;
  std::vector<std::string> chains;
};
[[nodiscard]] auto choose_nat_removal(const std::vector<NatRule>& rules, const Goes& goes) -> NatRemoval;

}  // namespace weir::cni::bridge
