#include "cni/bridge/nft_rules.h"

#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>

#include <algorithm>
#include <cerrno>

#include "cni/bridge/names.h"
#include "cni/kernel/nft.h"

namespace weir::cni::bridge {
namespace {

constexpr int most_tries = 20;
constexpr std::string_view spoof_prefix = "macspoofchk-";
constexpr std::string_view base_chain = "PREROUTING";
constexpr std::string_view checks_chain = "masq_checks";
constexpr std::string_view postrouting_chain = "postrouting";

auto masquerade_table() -> nft::Table { return {NFPROTO_INET, "cni_plugins_masquerade"}; }
auto spoof_table() -> nft::Table { return {NFPROTO_BRIDGE, "nat"}; }

auto failed(std::string_view what, const Refusal& refusal) -> Failure {
  return fail(text({what, ": nftables: ", refusal.words()}));
}

// A transaction loses against another that touches the same things; it is then built and sent again.
auto is_race(const Refusal& refusal) -> bool {
  return refusal.code == EEXIST || refusal.code == ENOENT || refusal.code == EAGAIN || refusal.code == EINTR ||
         refusal.code == EBUSY;
}

// Builds messages with `make` (which looks first) and sends them, again while others interfere.
template <class Make>
auto change(NetlinkSocket& socket, std::string_view what, Make make) -> Result<void> {
  Refusal last;
  for (int tries = 0; tries < most_tries; ++tries) {
    auto messages = make();
    if (!messages) return failed(what, messages.error());
    const auto sent = socket.transact(std::move(*messages));
    if (sent) return {};
    last = sent.error();
    if (!is_race(last)) break;
  }
  return failed(what, last);
}

using Messages = Answer<std::vector<Message>>;

// The table, its chains and the three rules that lead to masq_checks, as far as they are missing.
auto masquerade_skeleton(NetlinkSocket& socket) -> Messages {
  const auto table = masquerade_table();
  std::vector<Message> messages;
  const auto has_table = nft::has_table(socket, table);
  if (!has_table) return tl::unexpected(has_table.error());
  if (!*has_table) {
    messages.push_back(nft::new_table(table, "Masquerading for plugins from github.com/containernetworking/plugins"));
  }
  const auto there = [&](std::string_view chain) -> Answer<bool> {
    return *has_table ? nft::has_chain(socket, table, chain) : Answer<bool>(false);
  };
  const auto has_checks = there(checks_chain);
  if (!has_checks) return tl::unexpected(has_checks.error());
  if (!*has_checks) {
    messages.push_back(nft::new_chain(
        table, checks_chain, {}, "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet"));
  }
  const auto has_base = there(postrouting_chain);
  if (!has_base) return tl::unexpected(has_base.error());
  if (*has_base) return messages;
  messages.push_back(nft::new_chain(table, postrouting_chain, nft::Hook{"nat", NF_INET_POST_ROUTING, 100}, {}));
  messages.push_back(nft::Rule(table, postrouting_chain, {})
                         .destination_in(*Prefix::parse("224.0.0.0/4"), true)
                         .give_back()
                         .message());
  messages.push_back(
      nft::Rule(table, postrouting_chain, {}).destination_in(*Prefix::parse("ff00::/8"), true).give_back().message());
  messages.push_back(nft::Rule(table, postrouting_chain, {}).go_to(checks_chain).message());
  return messages;
}

auto chain_of(std::string_view id) -> std::string { return text({"cni-br-iface-", id}); }
auto mac_chain_of(std::string_view id) -> std::string { return text({"cni-br-iface-", id, "-mac"}); }

auto spoof_messages(NetlinkSocket& socket, const std::string& id, std::string_view link, const Mac& mac) -> Messages {
  const auto table = spoof_table();
  const auto comment = text({spoof_prefix, id});
  std::vector<Message> messages;
  const auto has_table = nft::has_table(socket, table);
  if (!has_table) return tl::unexpected(has_table.error());
  if (!*has_table) messages.push_back(nft::new_table(table, {}));
  const auto has_base = *has_table ? nft::has_chain(socket, table, base_chain) : Answer<bool>(false);
  if (!has_base) return tl::unexpected(has_base.error());
  if (!*has_base) {
    messages.push_back(nft::new_chain(table, base_chain, nft::Hook{"filter", NF_BR_PRE_ROUTING, -300}, {}));
  }
  const auto chain = chain_of(id);
  const auto mac_chain = mac_chain_of(id);
  messages.push_back(nft::new_chain(table, chain, {}, {}));
  messages.push_back(nft::new_chain(table, mac_chain, {}, {}));
  messages.push_back(nft::Rule(table, base_chain, comment).input_interface_is(link).jump(chain).message());
  messages.push_back(nft::Rule(table, chain, comment).jump(mac_chain).message());
  messages.push_back(nft::Rule(table, mac_chain, comment).ether_source_is(mac).give_back().message());
  messages.push_back(nft::Rule(table, mac_chain, comment).drop().message());
  return messages;
}

// The id in a spoof check's comment, "" if it is none.
auto spoof_id_in(std::string_view comment) -> std::string_view {
  return comment.starts_with(spoof_prefix) ? comment.substr(spoof_prefix.size()) : std::string_view();
}

auto delete_whole_chain(const nft::Table& table, const std::string& chain, std::vector<Message>& messages) -> void {
  messages.push_back(nft::flush_chain(table, chain));
  messages.push_back(nft::delete_chain(table, chain));
}

auto spoof_removal(NetlinkSocket& socket, const NftRemoval& removal, std::vector<Message>& messages) -> Answer<void> {
  const auto table = spoof_table();
  const auto rules = nft::list_rules(socket, table, base_chain);
  if (!rules) return tl::unexpected(rules.error());
  auto ids = removal.spoof_ids;
  for (const auto& rule : *rules) {
    const auto id = spoof_id_in(rule.comment);
    if (id.empty() || !removal.spoof_goes(id, rule.input_interface)) continue;
    messages.push_back(nft::delete_rule(table, base_chain, rule.handle));
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.emplace_back(id);
  }
  for (const auto& id : ids) {
    for (const auto& chain : {chain_of(id), mac_chain_of(id)}) {
      const auto there = nft::has_chain(socket, table, chain);
      if (!there) return tl::unexpected(there.error());
      if (!*there) continue;
      delete_whole_chain(table, chain, messages);
    }
  }
  return {};
}

auto nat_table(Family family) -> nft::Table {
  return {family == Family::v4 ? std::uint8_t{NFPROTO_IPV4} : std::uint8_t{NFPROTO_IPV6}, "nat"};
}

// What iptables-nft made of its rules.
auto list_nat(NetlinkSocket& socket, Family family) -> Answer<std::vector<NatRule>> {
  auto listed = nft::list_rules(socket, nat_table(family), {});
  if (!listed) return tl::unexpected(listed.error());
  std::vector<NatRule> rules;
  for (auto& each : *listed) {
    rules.push_back({.chain = std::move(each.chain),
                     .jump = std::move(each.target),
                     .comment = std::move(each.comment),
                     .source = each.source,
                     .line = {},
                     .handle = each.handle});
  }
  return rules;
}

auto nat_removal(NetlinkSocket& socket, Family family, const NftRemoval& removal, std::vector<Message>& messages)
    -> Answer<void> {
  const auto table = nat_table(family);
  const auto listed = list_nat(socket, family);
  if (!listed) return tl::unexpected(listed.error());
  const auto& rules = *listed;
  const auto chosen = choose_nat_removal(rules, removal.nat_goes);
  for (const auto* jump : chosen.jumps) messages.push_back(nft::delete_rule(table, jump->chain, jump->handle));
  for (const auto& chain : chosen.chains) delete_whole_chain(table, chain, messages);
  // One that lost its rules, or never had them, because somebody was killed.
  const bool is_known = std::any_of(rules.begin(), rules.end(), [&](const NatRule& rule) {
    return rule.chain == removal.nat_chain || rule.jump == removal.nat_chain;
  });
  if (removal.nat_chain.empty() || is_known) return {};
  const auto there = nft::has_chain(socket, table, removal.nat_chain);
  if (!there) return tl::unexpected(there.error());
  if (*there) delete_whole_chain(table, removal.nat_chain, messages);
  return {};
}

auto removal_messages(NetlinkSocket& socket, const NftRemoval& removal) -> Messages {
  std::vector<Message> messages;
  if (removal.masquerade_goes) {
    const auto rules = nft::list_rules(socket, masquerade_table(), checks_chain);
    if (!rules) return tl::unexpected(rules.error());
    for (const auto& rule : *rules) {
      const auto hash = nft_hash_in(rule.comment);
      if (hash.empty() || !removal.masquerade_goes(hash)) continue;
      messages.push_back(nft::delete_rule(masquerade_table(), checks_chain, rule.handle));
    }
  }
  if (removal.spoof_goes) {
    if (auto good = spoof_removal(socket, removal, messages); !good) return tl::unexpected(good.error());
  }
  for (const auto family : removal.nat_families) {
    if (auto good = nat_removal(socket, family, removal, messages); !good) return tl::unexpected(good.error());
  }
  return messages;
}

}  // namespace

auto add_masquerade(NetlinkSocket& socket, std::string_view network, const Attachment& owner,
                    const std::vector<Prefix>& addresses) -> Result<void> {
  const auto comment = nft_comment(network, owner);
  return change(socket, "failed to set up masquerading", [&]() -> Messages {
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

auto masquerade_hashes(NetlinkSocket& socket) -> Result<std::vector<std::string>> {
  const auto rules = nft::list_rules(socket, masquerade_table(), checks_chain);
  if (!rules) return failed("failed to list masquerade rules", rules.error());
  std::vector<std::string> hashes;
  for (const auto& rule : *rules) hashes.emplace_back(nft_hash_in(rule.comment));
  return hashes;
}

auto has_nat(NetlinkSocket& socket, Family family, std::string_view network, const Attachment& owner,
             const std::vector<Prefix>& addresses) -> Result<bool> {
  const auto rules = list_nat(socket, family);
  if (!rules) return failed("failed to list the rules of iptables", rules.error());
  const auto chain = iptables_chain(network, owner.container_id);
  const auto comment = iptables_comment(network, owner.container_id);
  const auto inner = std::count_if(rules->begin(), rules->end(),
                                   [&](const NatRule& rule) { return rule.chain == chain && rule.comment == comment; });
  const bool jumps = std::all_of(addresses.begin(), addresses.end(), [&](const Prefix& address) {
    const Prefix source{address.ip, address.ip.bits()};
    return std::any_of(rules->begin(), rules->end(), [&](const NatRule& rule) {
      return rule.chain == "POSTROUTING" && rule.jump == chain && rule.comment == comment && rule.source == source;
    });
  });
  return jumps && inner >= 2;  // ACCEPT within the subnet, MASQUERADE beyond it
}

auto add_spoof_check(NetlinkSocket& socket, const Attachment& owner, std::string_view link, const Mac& mac)
    -> Result<void> {
  const auto id = spoof_id(owner);
  constexpr std::string_view what = "failed to setup spoof-check";
  if (spoof_prefix.size() + id.size() > nft::most_stored_comment) {
    return fail(text({what, ": container ID and interface name are too long for an nftables comment"}));
  }
  // Chains that are there were left by an ADD that was never undone.
  for (const auto& chain : {chain_of(id), mac_chain_of(id)}) {
    const auto stale = nft::has_chain(socket, spoof_table(), chain);
    if (!stale) return failed(what, stale.error());
    if (!*stale) continue;
    const NftRemoval removal{.masquerade_goes = {},
                             .spoof_goes = [&](std::string_view each, std::string_view) { return each == id; },
                             .spoof_ids = {id},
                             .nat_families = {},
                             .nat_goes = {},
                             .nat_chain = {}};
    if (auto good = remove_nft(socket, removal); !good) return good;
  }
  return change(socket, what, [&] { return spoof_messages(socket, id, link, mac); });
}

auto has_spoof_check(NetlinkSocket& socket, const Attachment& owner, std::string_view link) -> Result<bool> {
  const auto rules = nft::list_rules(socket, spoof_table(), base_chain);
  if (!rules) return failed("failed to list spoof-check rules", rules.error());
  const auto id = spoof_id(owner);
  const bool jumps = std::any_of(rules->begin(), rules->end(), [&](const nft::Listed& rule) {
    return spoof_id_in(rule.comment) == id && rule.input_interface == link;
  });
  const auto filter = nft::list_rules(socket, spoof_table(), mac_chain_of(id));
  if (!filter) return failed("failed to list spoof-check rules", filter.error());
  return jumps && filter->size() >= 2;
}

auto remove_nft(NetlinkSocket& socket, const NftRemoval& removal) -> Result<void> {
  return change(socket, "failed to remove nftables rules", [&] { return removal_messages(socket, removal); });
}

}  // namespace weir::cni::bridge
