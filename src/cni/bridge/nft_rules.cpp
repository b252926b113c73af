#include "cni/bridge/nft_rules.h"

#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

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
auto masquerade_hook() -> nft::Hook { return {"nat", NF_INET_POST_ROUTING, 100}; }
auto spoof_hook() -> nft::Hook { return {"filter", NF_BR_PRE_ROUTING, -300}; }

auto failed(std::string_view what, const Refusal& refusal) -> Failure {
  return fail(text({what, ": nftables: ", refusal.words()}));
}

// A transaction loses against another that touches the same things; it is then built and sent again.
auto is_race(const Refusal& refusal) -> bool {
  return refusal.code == EEXIST || refusal.code == ENOENT || refusal.code == EAGAIN || refusal.code == EINTR ||
         refusal.code == EBUSY;
}

// Builds messages with `make` (which looks first, and is told why it is asked again) and sends them, again while
// others interfere.
template <class Make>
auto change(NetlinkSocket& socket, std::string_view what, Make make) -> Result<void> {
  Refusal last;
  for (int tries = 0; tries < most_tries; ++tries) {
    auto messages = make(last);
    if (!messages && messages.error().code == EINTR) {
      (void)::poll(nullptr, 0, tries + 1);  // ms: others change more often than a long list can be read
      last = messages.error();
      continue;
    }
    if (!messages) return failed(what, messages.error());
    const auto sent = socket.transact(std::move(*messages));
    if (sent) return {};
    last = sent.error();
    if (!is_race(last)) break;
  }
  return failed(what, last);
}

using Messages = Answer<std::vector<Message>>;

// Whether rules in the table's base chain see packets: `base` none if the chain, or the table too, has to be made. An
// error if somebody has the names for something else: rules would be added, and do nothing.
struct Ground {
  nft::TableState table = nft::TableState::none;
  nft::ChainState base = nft::ChainState::none;
  [[nodiscard]] auto is_laid() const -> bool {
    return table == nft::TableState::awake && base == nft::ChainState::at_hook;
  }
};
auto look_at(NetlinkSocket& socket, const nft::Table& table, std::string_view chain, const nft::Hook& hook)
    -> Answer<Ground> {
  Ground ground;
  const auto state = nft::table_state(socket, table);
  if (!state) return tl::unexpected(state.error());
  ground.table = *state;
  if (ground.table == nft::TableState::none) return ground;
  const auto base = nft::base_chain_state(socket, table, chain, hook);
  if (!base) return tl::unexpected(base.error());
  ground.base = *base;
  return ground;
}
auto usable(const Ground& ground, const nft::Table& table, std::string_view chain, const nft::Hook& hook)
    -> Answer<void> {
  if (ground.table == nft::TableState::asleep) {
    return tl::unexpected(Refusal{EINVAL, text({"table ", table.name, " has the flag dormant: take it away"}), 0});
  }
  if (ground.base != nft::ChainState::other) return {};
  return tl::unexpected(Refusal{EINVAL,
                                text({"chain ", chain, " of table ", table.name, " is not of type ", hook.type,
                                      " at the hook where packets must pass it: rename or delete it"}),
                                0});
}

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

// A transaction that deletes, being built. A chain that something else jumps to (a rule, or an element of a map) is
// refused as busy, and is then left out.
class Deletion {
 public:
  auto begin_again(const Refusal& last) -> void {
    const auto at = chains_.find(last.message);
    if (last.code == EBUSY && at != chains_.end()) busy_.insert(at->second);
    chains_.clear();
    messages_.clear();
  }
  auto rule(const nft::Table& table, std::string_view chain, std::uint64_t handle) -> void {
    messages_.push_back(nft::delete_rule(table, chain, handle));
  }
  auto whole_chain(const nft::Table& table, const std::string& chain) -> void {
    const std::pair key(table.family, chain);
    if (busy_.contains(key)) return;
    messages_.push_back(nft::flush_chain(table, chain));
    chains_[messages_.size()] = key;
    messages_.push_back(nft::delete_chain(table, chain));
  }
  [[nodiscard]] auto take() -> std::vector<Message> { return std::move(messages_); }

 private:
  using Key = std::pair<std::uint8_t, std::string>;  // family of the table, and name
  std::vector<Message> messages_;
  std::map<std::size_t, Key> chains_;  // by the number of the message that deletes it
  std::set<Key> busy_;
};

auto spoof_removal(NetlinkSocket& socket, const NftRemoval& removal, Deletion& deletion) -> Answer<void> {
  const auto table = spoof_table();
  const auto rules = nft::list_rules(socket, table, base_chain);
  if (!rules) return tl::unexpected(rules.error());
  auto ids = removal.spoof_ids;
  for (const auto& rule : *rules) {
    const auto id = spoof_id_in(rule.comment);
    if (id.empty() || !removal.spoof_goes(id, rule.input_interface)) continue;
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

namespace {

auto nat_removal(NetlinkSocket& socket, Family family, const NftRemoval& removal, Deletion& deletion) -> Answer<void> {
  const auto table = nat_table(family);
  const auto now = list_nat(socket, family, removal.nat_chain);
  if (!now) return tl::unexpected(now.error());
  const auto chosen = choose_nat_removal(now->rules, removal.nat_goes);
  for (const auto* jump : chosen.jumps) deletion.rule(table, jump->chain, jump->handle);
  for (const auto& chain : chosen.chains) deletion.whole_chain(table, chain);
  // One that lost its rules, or never had them, because somebody was killed.
  const bool is_known = std::any_of(now->rules.begin(), now->rules.end(), [&](const NatRule& rule) {
    return rule.chain == removal.nat_chain || rule.jump == removal.nat_chain;
  });
  if (removal.nat_chain.empty() || is_known) return {};
  const auto there = nft::has_chain(socket, table, removal.nat_chain);
  if (!there) return tl::unexpected(there.error());
  if (*there) deletion.whole_chain(table, removal.nat_chain);
  return {};
}

auto removal_messages(NetlinkSocket& socket, const NftRemoval& removal, Deletion& deletion) -> Messages {
  if (removal.masquerade_goes) {
    const auto rules = nft::list_rules(socket, masquerade_table(), checks_chain);
    if (!rules) return tl::unexpected(rules.error());
    for (const auto& rule : *rules) {
      const auto hash = nft_hash_in(rule.comment);
      if (hash.empty() || !removal.masquerade_goes(hash)) continue;
      deletion.rule(masquerade_table(), checks_chain, rule.handle);
    }
  }
  if (removal.spoof_goes) {
    if (auto good = spoof_removal(socket, removal, deletion); !good) return tl::unexpected(good.error());
  }
  for (const auto family : removal.nat_families) {
    if (auto good = nat_removal(socket, family, removal, deletion); !good) return tl::unexpected(good.error());
  }
  return deletion.take();
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

auto masquerade_hashes(NetlinkSocket& socket) -> Result<std::vector<std::string>> {
  constexpr std::string_view what = "failed to list masquerade rules";
  std::vector<std::string> hashes;
  const auto ground = look_at(socket, masquerade_table(), postrouting_chain, masquerade_hook());
  if (!ground) return failed(what, ground.error());
  const auto base = nft::list_rules(socket, masquerade_table(), postrouting_chain);
  if (!base) return failed(what, base.error());
  if (!ground->is_laid() || !way_in(*base).whole) return hashes;
  const auto rules = nft::list_rules(socket, masquerade_table(), checks_chain);
  if (!rules) return failed(what, rules.error());
  for (const auto& rule : *rules) hashes.emplace_back(nft_hash_in(rule.comment));
  return hashes;
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
    const NftRemoval removal{.masquerade_goes = {},
                             .spoof_goes = [&](std::string_view each, std::string_view) { return each == id; },
                             .spoof_ids = {id},
                             .nat_families = {},
                             .nat_goes = {},
                             .nat_chain = {}};
    if (auto good = remove_nft(socket, removal); !good) return good;
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

auto remove_nft(NetlinkSocket& socket, const NftRemoval& removal) -> Result<void> {
  Deletion deletion;
  return change(socket, "failed to remove nftables rules", [&](const Refusal& last) {
    deletion.begin_again(last);
    return removal_messages(socket, removal, deletion);
  });
}

}  // namespace weir::cni::bridge
