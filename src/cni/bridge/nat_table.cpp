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
  const auto part = [&](std::string_view label) -> std::optional<std::string> {
    if (!comment.starts_with(label)) return std::nullopt;
    comment.remove_prefix(label.size());
    const auto end = comment.find('"');
    if (end == std::string_view::npos) return std::nullopt;
    std::string name(comment.substr(0, end));
    comment.remove_prefix(end + 1);
    return name;
  };
  const auto network = part("name: \"");
  const auto container = network ? part(" id: \"") : std::nullopt;
  if (!container || !comment.empty()) return std::nullopt;
  return NatOwner{*network, *container};
}

auto choose_nat_removal(const std::vector<NatRule>& rules, const Goes& goes) -> NatRemoval {
  NatRemoval removal;
  std::set<std::string> doomed;
  std::set<std::string_view> used;
  for (const auto& rule : rules) {
    const auto owner = parse_nat_comment(rule.comment);
    const auto chain = owner ? iptables_chain(owner->network, owner->container) : std::string();
    const bool is_jump = owner && rule.chain == "POSTROUTING" && rule.jump == chain;
    const bool is_inner = owner && rule.chain == chain;
    const bool is_doomed = (is_jump || is_inner) && goes(*owner, is_jump ? rule.source : std::nullopt);
    if (is_doomed) doomed.insert(chain);
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
