#include "cni/bridge/nat_table.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "cni/bridge/names.h"

namespace weir::cni::bridge {

auto NatTable::has_chain(std::string_view name) const -> bool {
  return std::find(chains.begin(), chains.end(), name) != chains.end();
}

auto parse_nat_comment(std::string_view comment) -> std::optional<NatOwner> {
  const bool is_full = comment.size() == most_iptables_comment;
  bool is_cut = false;
  const auto part = [&](std::string_view label, bool may_be_cut) -> std::optional<std::string> {
    if (!comment.starts_with(label)) return std::nullopt;
    comment.remove_prefix(label.size());
    const auto end = std::min(comment.find('"'), comment.size());
    is_cut = end == comment.size();
    if (is_cut && !may_be_cut) return std::nullopt;
    std::string name(comment.substr(0, end));
    comment.remove_prefix(is_cut ? end : end + 1);
    return name;
  };
  auto network = part("name: \"", false);
  auto container = network ? part(" id: \"", is_full) : std::nullopt;
  if (!container || !comment.empty()) return std::nullopt;
  return NatOwner{std::move(*network), std::move(*container), is_cut, {}};
}

auto choose_nat_removal(const std::vector<NatRule>& rules, const Goes& goes) -> NatRemoval {
  NatRemoval removal;
  std::set<std::string> doomed;
  std::set<std::string_view> used;
  for (const auto& rule : rules) {
    auto owner = parse_nat_comment(rule.comment);
    const bool from_outside = rule.chain == "POSTROUTING";
    if (owner && owner->is_cut) {
      owner->chain = from_outside ? rule.jump : rule.chain;
    } else if (owner) {
      owner->chain = iptables_chain(owner->network, owner->container);
    }
    const bool is_jump = owner && from_outside && rule.jump == owner->chain && owner->chain.starts_with("CNI-");
    const bool is_inner = owner && rule.chain == owner->chain && owner->chain.starts_with("CNI-");
    const bool is_doomed = (is_jump || is_inner) && goes(*owner, is_jump ? rule.source : std::nullopt);
    if (is_doomed) doomed.insert(owner->chain);
    if (is_doomed && is_jump) {
      removal.jumps.push_back(&rule);
    } else {
      used.insert(rule.jump);
    }
  }
  std::copy_if(doomed.begin(), doomed.end(), std::back_inserter(removal.chains),
               [&](const std::string& chain) { return !used.contains(chain); });
  return removal;
}

}  // namespace weir::cni::bridge
