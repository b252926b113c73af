#include "cni/bridge/nft_masquerade.h"

#include <linux/netfilter.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "cni/bridge/names.h"
#include "cni/bridge/nft_change.h"
#include "cni/kernel/nft.h"

namespace weir::cni::bridge {

namespace {

constexpr std::string_view checks_chain = "masq_checks";
constexpr std::string_view postrouting_chain = "postrouting";

auto masquerade_table() -> nft::Table { return {NFPROTO_INET, "cni_plugins_masquerade"}; }
auto masquerade_hook() -> nft::Hook { return {"nat", NF_INET_POST_ROUTING, 100}; }

constexpr std::string_view multicast[] = {"224.0.0.0/4", "ff00::/8"};

// Our three rules in the chain where packets come in: two that let multicast through, then the one that leads all
// others to masq_checks. `goes` is 0 if there is none that does.
struct WayIn {
  std::uint64_t goes = 0;  // its handle
  bool whole = false;
};
auto way_in(const std::vector<nft::Listed>& rules) -> WayIn {
  const auto goes = std::find_if(rules.begin(), rules.end(), [](const nft::Listed& rule) {
    return rule.target == checks_chain && !rule.is_conditional;
  });
  if (goes == rules.end()) return {};
  const bool whole = std::all_of(std::begin(multicast), std::end(multicast), [&](std::string_view network) {
    return std::any_of(rules.begin(), goes, [&](const nft::Listed& rule) {
      return rule.target == "RETURN" && rule.destination == Prefix::parse(network) && !rule.destination_is_outside;
    });
  });
  return {goes->handle, whole};
}

// The table, its chains and the three rules that lead to masq_checks, as far as they are missing.
auto masquerade_skeleton(NetlinkSocket& socket) -> Messages {
  const auto table = masquerade_table();
  std::vector<Message> messages;
  const auto ground = look_at(socket, table, postrouting_chain, masquerade_hook());
  if (!ground) return tl::unexpected(ground.error());
  if (auto good = usable(*ground, table, postrouting_chain, masquerade_hook()); !good) {
    return tl::unexpected(good.error());
  }
  const bool has_table = ground->table != nft::TableState::none;
  if (!has_table) {
    messages.push_back(nft::new_table(table, "Masquerading for plugins from github.com/containernetworking/plugins"));
  }
  const auto has_checks = has_table ? nft::has_chain(socket, table, checks_chain) : Answer<bool>(false);
  if (!has_checks) return tl::unexpected(has_checks.error());
  if (!*has_checks) {
    messages.push_back(nft::new_chain(
        table, checks_chain, {}, "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet"));
  }
  if (ground->base == nft::ChainState::none) {
    messages.push_back(nft::new_chain(table, postrouting_chain, masquerade_hook(), {}));
  } else {
    // Somebody may have flushed it, or lost a part. What is theirs in it stays.
    const auto rules = nft::list_rules(socket, table, postrouting_chain);
    if (!rules) return tl::unexpected(rules.error());
    const auto way = way_in(*rules);
    if (way.whole) return messages;
    if (way.goes != 0) messages.push_back(nft::delete_rule(table, postrouting_chain, way.goes));
  }
  for (const auto each : multicast) {
    const auto network = *Prefix::parse(each);
    messages.push_back(nft::Rule(table, postrouting_chain, {}).destination_in(network, true).give_back().message());
  }
  messages.push_back(nft::Rule(table, postrouting_chain, {}).go_to(checks_chain).message());
  return messages;
}

}  // namespace

auto add_masquerade(NetlinkSocket& socket, std::string_view network, const Attachment& owner,
                    const std::vector<Prefix>& addresses) -> Result<void> {
  const auto comment = nft_comment(network, owner);
  return change(socket, "failed to set up masquerading", [&](const Refusal&) -> Messages {
    auto messages = masquerade_skeleton(socket);
    if (!messages) return messages;
    for (const auto& address : addresses) {
      messages->push_back(nft::Rule(masquerade_table(), checks_chain, comment)
                              .source_is(address.ip)
                              .destination_in(address, false)
                              .masquerade()
                              .message());
    }
    return messages;
  });
}

auto list_masquerade(NetlinkSocket& socket) -> Result<std::vector<MasqueradeRule>> {
  constexpr std::string_view what = "failed to list masquerade rules";
  std::vector<MasqueradeRule> found;
  const auto ground = look_at(socket, masquerade_table(), postrouting_chain, masquerade_hook());
  if (!ground) return failed(what, ground.error());
  const auto base = nft::list_rules(socket, masquerade_table(), postrouting_chain);
  if (!base) return failed(what, base.error());
  if (!ground->is_laid() || !way_in(*base).whole) return found;
  const auto rules = nft::list_rules(socket, masquerade_table(), checks_chain);
  if (!rules) return failed(what, rules.error());
  for (const auto& rule : *rules) {
    if (rule.target != "MASQUERADE") continue;
    MasqueradeRule one{std::string(nft_hash_in(rule.comment)), {}};
    if (rule.source && rule.source->length == rule.source->ip.bits()) one.address = rule.source->ip;
    found.push_back(std::move(one));
  }
  return found;
}

auto delete_masquerade(NetlinkSocket& socket, const std::function<bool(std::string_view hash)>& goes,
                       NftDeletion& deletion) -> Answer<void> {
  const auto rules = nft::list_rules(socket, masquerade_table(), checks_chain);
  if (!rules) return tl::unexpected(rules.error());
  for (const auto& rule : *rules) {
    const auto hash = nft_hash_in(rule.comment);
    if (hash.empty() || !goes(hash)) continue;
    deletion.rule(masquerade_table(), checks_chain, rule.handle);
  }
  return {};
}

}  // namespace weir::cni::bridge
