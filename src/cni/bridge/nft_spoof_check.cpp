#include "cni/bridge/nft_spoof_check.h"

#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>

#include <algorithm>

#include "cni/bridge/names.h"
#include "cni/bridge/nft_change.h"
#include "cni/kernel/nft.h"

namespace weir::cni::bridge {

namespace {

constexpr std::string_view spoof_prefix = "macspoofchk-";
constexpr std::string_view base_chain = "PREROUTING";

auto spoof_table() -> nft::Table { return {NFPROTO_BRIDGE, "nat"}; }
auto spoof_hook() -> nft::Hook { return {"filter", NF_BR_PRE_ROUTING, -300}; }

auto chain_of(std::string_view id) -> std::string { return text({"cni-br-iface-", id}); }
auto mac_chain_of(std::string_view id) -> std::string { return text({"cni-br-iface-", id, "-mac"}); }

auto spoof_messages(NetlinkSocket& socket, const std::string& id, std::string_view link, const Mac& mac) -> Messages {
  const auto table = spoof_table();
  const auto comment = text({spoof_prefix, id});
  std::vector<Message> messages;
  const auto ground = look_at(socket, table, base_chain, spoof_hook());
  if (!ground) return tl::unexpected(ground.error());
  if (auto good = usable(*ground, table, base_chain, spoof_hook()); !good) return tl::unexpected(good.error());
  if (ground->table == nft::TableState::none) messages.push_back(nft::new_table(table, {}));
  if (ground->base == nft::ChainState::none) {
    messages.push_back(nft::new_chain(table, base_chain, spoof_hook(), {}));
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

// What an ADD that was never undone has left.
auto remove_stale(NetlinkSocket& socket, const SpoofChecks& which) -> Result<void> {
  NftDeletion deletion;
  return change(socket, "failed to remove nftables rules", [&](const Refusal& last) -> Messages {
    deletion.begin_again(last);
    if (auto good = delete_spoof_checks(socket, which, deletion); !good) return tl::unexpected(good.error());
    return deletion.take();
  });
}

}  // namespace

auto delete_spoof_checks(NetlinkSocket& socket, const SpoofChecks& which, NftDeletion& deletion) -> Answer<void> {
  const auto table = spoof_table();
  const auto rules = nft::list_rules(socket, table, base_chain);
  if (!rules) return tl::unexpected(rules.error());
  auto ids = which.ids;
  for (const auto& rule : *rules) {
    const auto id = spoof_id_in(rule.comment);
    if (id.empty() || !which.goes(id, rule.input_interface)) continue;
    deletion.rule(table, base_chain, rule.handle);
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.emplace_back(id);
  }
  for (const auto& id : ids) {
    for (const auto& chain : {chain_of(id), mac_chain_of(id)}) {
      if (chain.size() > nft::most_name) continue;
      const auto there = nft::has_chain(socket, table, chain);
      if (!there) return tl::unexpected(there.error());
      if (*there) deletion.whole_chain(table, chain);
    }
  }
  return {};
}

auto add_spoof_check(NetlinkSocket& socket, const Attachment& owner, std::string_view link, const Mac& mac)
    -> Result<void> {
  const auto id = spoof_id(owner);
  constexpr std::string_view what = "failed to setup spoof-check";
  if (mac_chain_of(id).size() > nft::most_name) {
    return fail(text({what, ": container ID and interface name are too long for the name of a chain"}));
  }
  // Chains that are there were left by an ADD that was never undone.
  for (const auto& chain : {chain_of(id), mac_chain_of(id)}) {
    const auto stale = nft::has_chain(socket, spoof_table(), chain);
    if (!stale) return failed(what, stale.error());
    if (!*stale) continue;
    const SpoofChecks ours{.goes = [&](std::string_view each, std::string_view) { return each == id; }, .ids = {id}};
    if (auto good = remove_stale(socket, ours); !good) return good;
  }
  return change(socket, what, [&](const Refusal&) { return spoof_messages(socket, id, link, mac); });
}

auto has_spoof_check(NetlinkSocket& socket, const Attachment& owner, std::string_view link, const Mac& mac)
    -> Result<bool> {
  constexpr std::string_view what = "failed to list spoof-check rules";
  const auto id = spoof_id(owner);
  const auto ground = look_at(socket, spoof_table(), base_chain, spoof_hook());
  if (!ground) return failed(what, ground.error());
  if (!ground->is_laid()) return false;
  const auto base = nft::list_rules(socket, spoof_table(), base_chain);
  if (!base) return failed(what, base.error());
  const auto chain = nft::list_rules(socket, spoof_table(), chain_of(id));
  if (!chain) return failed(what, chain.error());
  const auto filter = nft::list_rules(socket, spoof_table(), mac_chain_of(id));
  if (!filter) return failed(what, filter.error());
  const auto passes = std::find_if(filter->begin(), filter->end(), [&](const nft::Listed& rule) {
    return rule.target == "RETURN" && rule.ether_source == mac;
  });
  return std::any_of(
             base->begin(), base->end(),
             [&](const auto& rule) { return spoof_id_in(rule.comment) == id && rule.input_interface == link; }) &&
         std::any_of(chain->begin(), chain->end(), [&](const auto& rule) { return rule.target == mac_chain_of(id); }) &&
         std::any_of(passes, filter->end(), [](const auto& rule) { return rule.target == "DROP"; });
}

}  // namespace weir::cni::bridge
