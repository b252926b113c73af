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
  constexpr std::string_view begin = "name: \"";
  constexpr std::string_view middle = "\" id: \"";
  if (!comment.starts_with(begin)) return std::nullopt;
  const bool may_be_cut = comment.size() == most_iptables_comment;
  NatOwner owner;
  auto rest = comment.substr(begin.size());
  owner.network = rest.substr(0, rest.find('"'));
  rest.remove_prefix(owner.network.size());
  owner.is_cut = rest.size() < middle.size();
  if (!rest.starts_with(middle.substr(0, std::min(rest.size(), middle.size()))) || (owner.is_cut && !may_be_cut))
    return std::nullopt;
  if (owner.is_cut) return owner;
  rest.remove_prefix(middle.size());
  owner.container = rest.substr(0, rest.find('"'));
  rest.remove_prefix(owner.container.size());
  owner.is_cut = rest.empty();
  if (owner.is_cut ? !may_be_cut : rest != "\"") return std::nullopt;  // mutant: comment-matched-by-its-beginning
  return owner;
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
    const bool is_doomed = (is_jump || is_inner) && goes(*owner, rule);
    if (is_doomed) doomed.insert(owner->chain);
    if (is_doomed && is_jump) {
      removal.jumps.push_back(&rule);
    } else {
      used.insert(rule.jump);
    }
  }
  std::copy_if(doomed.begin(), doomed.end(), std::back_inserter(removal.chains),
               // mutant: shared-chain-goes-with-the-first
               [&](const std::string& chain) { return !used.contains(chain); });
  return removal;
}

}  // namespace weir::cni::bridge
