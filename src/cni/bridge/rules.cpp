#include "cni/bridge/rules.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <set>

#include "cni/bridge/names.h"
#include "cni/bridge/nft_masquerade.h"
#include "cni/bridge/ports.h"
#include "cni/kernel/conntrack.h"

namespace weir::cni::bridge {
namespace {

auto of_family(const std::vector<Prefix>& addresses, Family family) -> std::vector<Prefix> {
  std::vector<Prefix> out;
  std::copy_if(addresses.begin(), addresses.end(), std::back_inserter(out),
               [&](const Prefix& each) { return each.ip.is_v4() == (family == Family::v4); });
  return out;
}

auto contains(const std::vector<Ip>& list, const Ip& ip) -> bool {
  return std::find(list.begin(), list.end(), ip) != list.end();
}

// Whether a jump from `source` is about one of `addresses`. Very old plugins wrote the whole subnet.
auto is_about(const Prefix& source, const std::vector<Ip>& addresses) -> bool {
  if (source.length == source.ip.bits()) return contains(addresses, source.ip);
  return std::any_of(addresses.begin(), addresses.end(), [&](const Ip& ip) { return source.contains(ip); });
}

auto both_families() -> std::vector<Family> { return {Family::v4, Family::v6}; }

}  // namespace

auto uses_iptables(const Config& config) -> bool {
  if (config.backend != MasqueradeBackend::automatic) return config.backend == MasqueradeBackend::iptables;
  return has_iptables(Family::v4);
}

auto can_masquerade(const Config& config) -> Result<void> {
  if (!config.masquerade || config.backend != MasqueradeBackend::iptables || has_iptables(Family::v4)) return {};
  return fail("failed to locate iptables: exec: \"iptables-restore\": executable file not found in $PATH");
}

auto AddingRules::start(const Config& config, const RuleWish& wish) -> Result<AddingRules> {
  AddingRules adding;
  adding.may_choose_ = config.backend == MasqueradeBackend::automatic;
  adding.owner_ = wish.owner;
  const bool masquerade = config.masquerade && !wish.addresses.empty();
  const bool by_iptables = masquerade && uses_iptables(config);
  if (by_iptables) adding.lock_ = HostLock::take("nat");
  for (const auto family : both_families()) {
    NatWish nat{wish.network, wish.owner.container_id, of_family(wish.addresses, family)};
    if (!by_iptables || nat.addresses.empty()) continue;
    auto child = start_restore(family, first_nat_input(nat), adding.lock_);
    if (!child && adding.by_nftables_instead(nat)) continue;
    if (!child) return Failure(child.error());
    adding.running_.push_back({family, std::move(nat), std::move(*child)});
  }
  if (!config.mac_spoof_check && (!masquerade || by_iptables)) return adding;
  auto socket = open_filter_socket();
  if (!socket) return Failure(socket.error());
  if (masquerade && !by_iptables) {
    if (auto good = add_masquerade(*socket, wish.network, wish.owner, wish.addresses); !good)
      return Failure(good.error());
  }
  if (config.mac_spoof_check) {
    auto good = add_spoof_check(*socket, wish.owner, wish.host_veth, wish.container_mac);
    if (!good) return Failure(good.error());
  }
  return adding;
}

auto AddingRules::finish() -> Result<void> {
  Result<void> result;
  for (auto& each : running_) {
    auto done = finish_addition(each.family, each.wish, std::move(each.restore), lock_);
    if (!done && by_nftables_instead(each.wish)) continue;
    if (!done && result) result = Failure(done.error());
  }
  running_.clear();
  lock_.release();
  return result;
}

auto AddingRules::by_nftables_instead(const NatWish& wish) const -> bool {
  if (!may_choose_) return false;
  auto socket = open_filter_socket();
  return socket && add_masquerade(*socket, wish.network, owner_, wish.addresses);
}

auto RemovedRules::remove(const NftRemoval& removal) -> void {
  // What a killed ADD's program may still add has to be there before we look.
  HostLock::wait_for("nat");
  auto opened = NetlinkSocket::open(NETLINK_NETFILTER);
  if (opened) {
    socket_ = std::move(*opened);
    const auto removed = remove_nft(*socket_, removal);
    any_ = removed.value_or(false);
    if (!removed) outcome_ = Failure(removed.error());
  } else if (opened.error().code != EPROTONOSUPPORT) {  // a kernel without it keeps no rules in it
    outcome_ = refused("failed to open a netfilter socket", opened.error());
  }
  const auto legacy = remove_from_legacy_tables(removal.nat.families, removal.nat.goes);
  any_ = any_ || legacy.value_or(false);
  if (outcome_ && !legacy) outcome_ = Failure(legacy.error());
}

auto RemovedRules::forget(const std::vector<Ip>& addresses) -> void {
  if (addresses.empty() || !socket_ || read_sysctl("net/netfilter/nf_conntrack_count") == "0") return;
  forget_connections(*socket_, addresses);
}

auto RemovedRules::remove_of(const Subject& subject) -> RemovedRules {
  const auto hash = nft_hash(subject.network, subject.attachment);
  const auto id = spoof_id(subject.attachment);
  NftRemoval removal;
  removal.masquerade_goes = [&](std::string_view each) { return each == hash; };
  removal.spoof_checks.goes = [&](std::string_view each, std::string_view) { return each == id; };
  removal.spoof_checks.ids = {id};
  removal.nat.families = both_families();
  removal.nat.chain = iptables_chain(subject.network, subject.attachment.container_id);
  std::optional<Result<std::vector<Ip>>> others;  // looked for only if it matters
  removal.nat.goes = [&, comment = iptables_comment(subject.network, subject.attachment.container_id)](
                         const NatOwner& whose, const NatRule& rule) {
    if (whose.chain != removal.nat.chain || rule.comment != comment) return false;
    if (rule.chain == whose.chain || !rule.source || is_about(*rule.source, subject.own)) return true;
    // One of a whole subnet, as very old plugins wrote it, says too little.
    if (rule.source->length != rule.source->ip.bits() && !subject.own.empty()) return false;
    if (!others) others = subject.others();
    return others->has_value() && !is_about(*rule.source, **others);
  };
  RemovedRules removed;
  removed.remove(removal);
  if (removed.outcome_ && others && !*others) removed.outcome_ = Failure(others->error());
  return removed;
}

auto RemovedRules::remove_stale(const std::string& network, const std::vector<Attachment>& valid,
                                const std::vector<KnownLease>& leases) -> RemovedRules {
  const std::set<Attachment> kept(valid.begin(), valid.end());
  const auto is_valid = [&](const Attachment& each) { return kept.contains(each); };
  std::set<std::string, std::less<>> hashes;
  for (const auto& each : valid) hashes.insert(nft_hash(network, each));
  const auto mine = nft_network_hash(network) + "-";
  NftRemoval removal;
  removal.masquerade_goes = [&](std::string_view hash) { return hash.starts_with(mine) && !hashes.contains(hash); };
  // A spoof check names no network, but the link that it is about does: its name is made of all three.
  removal.spoof_checks.goes = [&](std::string_view id, std::string_view link) {
    for (auto dash = id.find('-'); dash != std::string_view::npos; dash = id.find('-', dash + 1)) {
      const Attachment owner{std::string(id.substr(0, dash)), std::string(id.substr(dash + 1))};
      if (link == host_veth(network, owner)) return !is_valid(owner);
    }
    return false;
  };
  // iptables' comments name no interface: where some interfaces of a container are valid, a jump goes only
  // if its address is known to be one's that is not.
  removal.nat.families = both_families();
  std::set<std::string> valid_chains;
  for (const auto& each : valid) valid_chains.insert(iptables_chain(network, each.container_id));
  removal.nat.goes = [&](const NatOwner& whose, const NatRule& rule) {
    if (whose.network != network) return false;
    if (!valid_chains.contains(whose.chain)) return true;
    if (rule.chain == whose.chain || !rule.source) return false;
    return std::any_of(leases.begin(), leases.end(), [&](const KnownLease& lease) {
      return !is_valid(lease.owner) && is_about(*rule.source, {lease.ip}) &&
             iptables_chain(network, lease.owner.container_id) == whose.chain;
    });
  };
  RemovedRules removed;
  removed.remove(removal);
  return removed;
}

namespace {

auto check_masquerade(const RuleWish& wish, NetlinkSocket& socket) -> Result<void> {
  const auto rules = list_masquerade(socket);
  if (!rules) return Failure(rules.error());
  const auto hash = nft_hash(wish.network, wish.owner);
  std::set<Ip> by_nftables;
  for (const auto& rule : *rules) {
    if (rule.hash == hash && rule.address) by_nftables.insert(*rule.address);
  }
  // Either backend's rules will do: a network may have been changed from one to the other, and iptables may have
  // failed for one family.
  auto left = wish.addresses;
  std::erase_if(left, [&](const Prefix& each) { return by_nftables.contains(each.ip); });
  for (const auto family : both_families()) {
    const NatWish nat{wish.network, wish.owner.container_id, of_family(left, family)};
    if (nat.addresses.empty()) continue;
    const auto kept = list_nat(socket, family, iptables_chain(wish.network, wish.owner.container_id));
    if (!kept) return refused("failed to list the rules of iptables", kept.error());
    if (missing_nat_input(nat, *kept).empty()) continue;
    const auto legacy = read_legacy_table(family);
    if (!legacy) return Failure(legacy.error());
    if (missing_nat_input(nat, *legacy).empty()) continue;
    return fail(text({"Masquerade rules of container ", wish.owner.container_id, " not found"}));
  }
  return {};
}

}  // namespace

auto check_rules(const Config& config, const RuleWish& wish) -> Result<void> {
  const bool masquerade = config.masquerade && !wish.addresses.empty();
  if (!masquerade && !config.mac_spoof_check) return {};
  auto socket = open_filter_socket();
  if (!socket) return Failure(socket.error());
  if (masquerade) {
    if (auto good = check_masquerade(wish, *socket); !good) return good;
  }
  if (!config.mac_spoof_check) return {};
  const auto there = has_spoof_check(*socket, wish.owner, wish.host_veth, wish.container_mac);
  if (!there) return Failure(there.error());
  if (*there) return {};
  return fail(text({"Spoof-check rules of container ", wish.owner.container_id, " not found"}));
}

}  // namespace weir::cni::bridge
