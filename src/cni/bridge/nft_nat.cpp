#include "cni/bridge/nft_nat.h"

#include <linux/netfilter.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "cni/kernel/nft.h"
#include "cni/spec/error.h"

namespace weir::cni::bridge {

namespace {

auto nat_table(Family family) -> nft::Table {
  return {family == Family::v4 ? std::uint8_t{NFPROTO_IPV4} : std::uint8_t{NFPROTO_IPV6}, "nat"};
}

// As iptables-save would print it.
auto line_of(const nft::Listed& rule) -> std::string {
  std::string line = "-A " + rule.chain;
  if (rule.source) line += " -s " + rule.source->to_string();
  if (rule.destination) line += (rule.destination_is_outside ? " ! -d " : " -d ") + rule.destination->to_string();
  if (!rule.comment.empty()) line += " -m comment --comment " + in_quotes(rule.comment);
  if (!rule.target.empty()) line += " -j " + rule.target;
  return line;
}

}  // namespace

auto list_nat(NetlinkSocket& socket, Family family, const std::string& chain) -> Answer<NatTable> {
  NatTable nat;
  const std::vector<std::string> parts = chain.empty() ? std::vector<std::string>{{}}  // all of it
                                                       : std::vector<std::string>{"POSTROUTING", chain};
  for (const auto& part : parts) {
    auto listed = nft::list_rules(socket, nat_table(family), part);
    if (!listed) return tl::unexpected(listed.error());
    for (auto& each : *listed) {
      auto line = line_of(each);
      if (nat.chains.empty() || nat.chains.back() != each.chain) nat.chains.push_back(each.chain);
      nat.rules.push_back({.chain = std::move(each.chain),
                           .jump = std::move(each.target),
                           .comment = std::move(each.comment),
                           .source = each.source,
                           .line = std::move(line),
                           .handle = each.handle});
    }
  }
  return nat;
}

auto delete_nat(NetlinkSocket& socket, Family family, const NatChains& which, NftDeletion& deletion) -> Answer<void> {
  const auto table = nat_table(family);
  const auto now = list_nat(socket, family, which.chain);
  if (!now) return tl::unexpected(now.error());
  const auto chosen = choose_nat_removal(now->rules, which.goes);
  for (const auto* jump : chosen.jumps) deletion.rule(table, jump->chain, jump->handle);
  for (const auto& chain : chosen.chains) deletion.whole_chain(table, chain);
  // One that lost its rules, or never had them, because somebody was killed.
  const bool is_known = std::any_of(now->rules.begin(), now->rules.end(), [&](const NatRule& rule) {
    return rule.chain == which.chain || rule.jump == which.chain;
  });
  if (which.chain.empty() || is_known) return {};
  const auto there = nft::has_chain(socket, table, which.chain);
  if (!there) return tl::unexpected(there.error());
  if (*there) deletion.whole_chain(table, which.chain);
  return {};
}

}  // namespace weir::cni::bridge
