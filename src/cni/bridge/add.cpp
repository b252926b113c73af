#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "cni/bridge/attachment_link.h"
#include "cni/bridge/container_side.h"
#include "cni/bridge/empty_bridge.h"
#include "cni/bridge/gateways.h"
#include "cni/bridge/host_lock.h"
#include "cni/bridge/host_side.h"
#include "cni/bridge/names.h"
#include "cni/bridge/plugin.h"
#include "cni/bridge/ports.h"
#include "cni/bridge/rules.h"
#include "cni/host_local/plugin.h"
#include "cni/kernel/address.h"
#include "cni/spec/version.h"

namespace weir::cni::bridge {
namespace {

// One ADD. What it made is known at every step, so that undo() can take all of it back: rules, links, the
// bridge if it is ours and empty, and the lease last, so that no address is given out while it is in use.
class Adding {
 public:
  Adding(const Request& request, Config config, NetlinkSocket host, ContainerSide container)
      : request_(&request),
        config_(std::move(config)),
        owner_(attachment_of(request)),
        host_(std::move(host)),
        container_(std::move(container)),
        container_mac_(config_.mac.value_or(random_mac())) {}

  auto run() -> Result<AddResult> {
    auto result = attach();
    if (result) return result;
    const auto left = undo();
    if (!left.empty()) result.error().msg += "; and not all could be taken back: " + left;
    return result;
  }

 private:
  auto attach() -> Result<AddResult> {
    if (auto good = look_first(); !good) return Failure(good.error());
    // host-local is asked before anything is made. Others, such as dhcp, may want to use the interface.
    const bool link_first = !config_.ipam.empty() && !is_host_local(config_);
    if (link_first) {
      if (auto good = connect({}); !good) return Failure(good.error());
    }
    auto leased = lease();
    if (!leased) return leased;
    if (!link_first) {
      if (auto good = refuse_second_link(); !good) return Failure(good.error());
    }
    AddResult result = std::move(*leased);
    const auto gateways = choose_gateways(result);
    if (auto good = check_addresses(result, gateways); !good) return Failure(good.error());
    const auto are_there = bridge_ ? has_gateways(host_, config_, *bridge_, gateways) : Result<bool>(false);
    if (!are_there) return Failure(are_there.error());

    RuleWish rules{request_->name, owner_, {}, host_veth(request_->name, owner_), container_mac_};
    for (const auto& ip : result.ips) {
      rules.addresses.push_back(ip.address);
      addresses_.push_back(ip.address.ip);
    }
    has_rules_ = true;
    auto adding = AddingRules::start(config_, rules);
    if (!adding) return Failure(adding.error());
    auto good = link_first ? name_port(host_, pair_wish(result.ips), side_) : connect(result.ips);
    // While addresses are probed for a second or two, others shall not wait for the rules' lock.
    if (good && config_.detect_duplicates) good = adding->finish();
    if (good) good = configure_container(result);
    // The programs have to end before anything of theirs can be undone.
    auto added = adding->finish();
    if (!good) return Failure(good.error());
    if (!added) return Failure(added.error());
    // Last, because whoever else is on the bridge may rely on what is changed here as soon as it is.
    auto vlan = set_gateways(host_, config_, gateways, *are_there && !side_.made_bridge, side_);
    if (!vlan) return Failure(vlan.error());
    // The host may still know the address under the MAC of the container that had it before.
    for (const auto& ip : result.ips) {
      (void)host_.send(forget_neighbour(*vlan ? (*vlan)->index : side_.bridge.index, ip.address.ip));
    }
    return finish(std::move(result), *vlan);
  }

  // Everything that can be refused without touching anything.
  auto look_first() -> Result<void> {
    const auto there = container_.find(owner_.ifname);
    if (!there) return Failure(there.error());
    if (*there) {
      return fail(text({"container veth name (", in_quotes(owner_.ifname), ") peer provided (",
                        in_quotes(host_veth(request_->name, owner_)), ") already exists"}));
    }
    if (auto good = bury_dead_link(); !good) return good;
    auto bridge = find_bridge(host_, config_.bridge);
    if (!bridge) return fail(text({"failed to create bridge ", in_quotes(config_.bridge), ": ", bridge.error().msg}));
    bridge_ = std::move(*bridge);
    if (config_.mtu != 0 && is_host_local(config_) && host_local::gives_ipv6(*request_)) {
      if (auto good = check_ipv6_mtu(config_, {}); !good) return good;
    }
    return can_masquerade(config_);
  }

  // What no link or bridge takes, whoever leased it.
  [[nodiscard]] auto check_addresses(const AddResult& result, const std::vector<Prefix>& gateways) const
      -> Result<void> {
    constexpr std::size_t most_addresses = 1024;
    if (result.ips.size() > most_addresses) {
      return fail(ErrorCode::bad_config, text({"the IPAM plugin gave ", std::to_string(result.ips.size()),
                                               " addresses: an interface takes at most 1024 here"}));
    }
    const auto is_v6 = [](const Prefix& each) { return !each.ip.is_v4(); };
    const bool v6 =
        std::any_of(result.ips.begin(), result.ips.end(), [&](const IpConfig& ip) { return is_v6(ip.address); });
    if (!v6) return {};
    const bool on_bridge = bridge_ && config_.vlan == 0 && std::any_of(gateways.begin(), gateways.end(), is_v6);
    return check_ipv6_mtu(config_, on_bridge ? std::optional(bridge_->mtu) : std::nullopt);
  }

  // The host's end of an earlier attachment of the same names, whose namespace is gone, goes now and not whenever the
  // kernel comes to it. A namespace lives on for some milliseconds after its last name is gone: one that is alive may
  // be about to die, and is given a little time.
  auto bury_dead_link() -> Result<void> {
    constexpr int step_ms = 10;
    constexpr int patience_ms = 500;
    for (int waited = 0;; waited += step_ms) {
      const auto there = find_link(host_, host_veth(request_->name, owner_));
      if (!there) return refused("failed to lookup " + host_veth(request_->name, owner_), there.error());
      if (!*there || !is_ours(**there, request_->name, owner_)) return {};
      if (!is_peer_dead(host_, **there)) {
        if (waited >= patience_ms) return {};
        (void)::poll(nullptr, 0, step_ms);
        continue;
      }
      const auto gone = host_.send(delete_link((*there)->index));
      if (gone || gone.error().code == ENODEV) return {};
      return refused("failed to delete " + (*there)->name, gone.error());
    }
  }

  // A machine or runtime may have crashed before the DEL of an attachment of the same names. It is dead when no link of
  // its is left; then its rules go, and connections that its addresses began.
  auto free_remains(const std::vector<Ip>& leased) -> Result<bool> {
    const auto there = find_link(host_, host_veth(request_->name, owner_));
    if (!there) return refused("failed to lookup " + host_veth(request_->name, owner_), there.error());
    const auto renamed = *there ? Result<std::optional<Link>>() : find_renamed_host_end(host_, request_->name, owner_);
    if (!renamed) return Failure(renamed.error());
    if (*there || *renamed) return false;
    auto removed = RemovedRules::remove_of(subject(leased, false));  // whoever asks holds the leases' lock
    if (!removed.outcome()) return Failure(removed.outcome().error());
    removed.forget(leased);
    return true;
  }

  [[nodiscard]] auto subject(const std::vector<Ip>& own, bool by_leases) const -> RemovedRules::Subject {
    return {request_->name, owner_, own, [=, this] { return addresses_of_the_others(*request_, by_leases); }};
  }

  auto lease() -> Result<AddResult> {
    Request asked = *request_;
    asked.free_remains = [this](const std::vector<Ip>& leased) { return free_remains(leased); };
    auto leased = run_ipam(asked, Command::add, config_);
    // The specification wants a DEL also after an ADD that failed. host-local needs none: it has undone its own,
    // and one that it refused as a duplicate must keep the lease that is there.
    has_lease_ = !config_.ipam.empty() && leased.has_value();
    asked_ipam_ = has_lease_ || (!config_.ipam.empty() && !is_host_local(config_));
    if (!leased) return leased;
    if (!config_.ipam.empty() && leased->ips.empty()) return fail("IPAM plugin returned missing IP config");
    leased->interfaces.clear();
    return leased;
  }

  // Fills in gateways and default routes; returns what the bridge is to have.
  auto choose_gateways(AddResult& result) const -> std::vector<Prefix> {
    std::vector<Prefix> gateways;
    bool done[2] = {false, false};
    for (auto& ip : result.ips) {
      const bool v4 = ip.address.ip.is_v4();
      ip.interface = 2;
      if (!ip.gateway && config_.is_gateway) ip.gateway = ip.address.network().ip.next();
      if (!config_.is_gateway) continue;
      const Prefix everything{v4 ? Ip::v4({}) : Ip::v6({}), 0};
      const bool has_default = std::any_of(result.routes.begin(), result.routes.end(), [&](const Route& route) {
        return route.gateway && route.destination.network() == everything;
      });
      if (config_.is_default_gateway && !std::exchange(done[v4 ? 0 : 1], true) && !has_default) {
        result.routes.push_back({.destination = everything, .gateway = ip.gateway, .table = {}, .scope = {}});
      }
      const Prefix gateway{*ip.gateway, ip.address.length};
      if (std::find(gateways.begin(), gateways.end(), gateway) == gateways.end()) gateways.push_back(gateway);
    }
    return gateways;
  }

  // An attachment of the same name, in whatever namespace, must keep what bears its name.
  auto refuse_second_link() -> Result<void> {
    const auto name = host_veth(request_->name, owner_);
    const auto there = find_link(host_, name);
    if (!there) return refused(text({"failed to lookup ", in_quotes(name)}), there.error());
    if (!*there) return {};
    return fail(text(
        {"container veth name (", in_quotes(owner_.ifname), ") peer provided (", in_quotes(name), ") already exists"}));
  }

  [[nodiscard]] auto pair_wish(const std::vector<IpConfig>& ips) const -> PairWish {
    return {request_->name, owner_, ips, container_.netns(), container_mac_};
  }

  auto connect(const std::vector<IpConfig>& ips) -> Result<void> {
    const auto lock = HostLock::take("bridge");  // nobody deletes the bridge between its look and our port
    if (auto good = ensure_bridge(host_, config_, side_); !good) return good;
    return make_pair(host_, config_, pair_wish(ips), side_);
  }

  auto configure_container(const AddResult& result) -> Result<void> {
    auto good = result.ips.empty() ? container_.configure_plain(config_, owner_.ifname)
                                   : container_.configure(config_, owner_.ifname, result);
    if (!good || config_.container_interface_down) return good;
    return wait_for_port(host_, side_);
  }

  auto finish(AddResult result, const std::optional<Link>& vlan) -> Result<AddResult> {
    const auto bridge = find_bridge(host_, config_.bridge);
    if (!bridge) return Failure(bridge.error());
    if (!*bridge) return fail(text({"could not lookup ", in_quotes(config_.bridge), ": Link not found"}));
    finish_bridge(host_, **bridge);
    if (!config_.container_interface_down) {
      container_.settle(owner_.ifname, addresses_);
      const auto& gateways = side_.added_gateways;
      (void)std::all_of(gateways.begin(), gateways.end(),
                        [&](const Prefix& gateway) { return wait_for_address(host_, side_.gateway_link, gateway.ip); });
    }
    const bool says_mtu = at_least(request_->version, "1.1.0");
    const auto named = [&](const Link& link) {
      return Interface{.name = link.name,
                       .mac = to_string(link.mac),
                       .sandbox = {},
                       .mtu = says_mtu ? link.mtu : 0,
                       .socket_path = {},
                       .pci_id = {}};
    };
    result.interfaces = {named(**bridge), named(side_.port), named(side_.port)};
    result.interfaces[2].name = owner_.ifname;
    result.interfaces[2].mac = to_string(container_mac_);
    result.interfaces[2].sandbox = request_->environment.netns;
    if (vlan) result.interfaces.push_back(named(*vlan));
    if (config_.has_dns) result.dns = config_.dns;
    return result;
  }

  // What could not be taken back, in words; "" if that is nothing.
  auto undo() -> std::string {
    std::string left;
    const auto note = [&](const std::string& what) { left += (left.empty() ? "" : "; ") + what; };
    std::optional<RemovedRules> removed;
    if (has_rules_) removed = RemovedRules::remove_of(subject(addresses_, is_host_local(config_)));
    if (removed && !removed->outcome()) note(removed->outcome().error().msg);
    if (side_.port.index == 0 && !side_.port.name.empty()) {
      const auto link = find_link(host_, side_.port.name);
      if (link && *link) side_.port.index = (*link)->index;
    }
    if (side_.port.index != 0) {
      const auto gone = host_.send(delete_link(side_.port.index));
      if (!gone && gone.error().code != ENODEV) note("link " + side_.port.name + ": " + gone.error().words());
    }
    undo_bridge(host_, config_, side_);
    // Where rules stay the lease does, for the DEL that has to follow: nobody else shall have the address.
    if (!asked_ipam_ || (removed && !removed->outcome())) return left;
    const auto released = run_ipam(*request_, Command::del, config_, longest_ipam_undo_s);
    // One that failed to lease may well fail to release, in the same words.
    if (!released && has_lease_) note(released.error().msg);
    return left;
  }

  const Request* request_;
  Config config_;
  Attachment owner_;
  NetlinkSocket host_;
  ContainerSide container_;
  Mac container_mac_;
  HostSide side_;
  std::optional<Link> bridge_;  // as it was before, if it was
  std::vector<Ip> addresses_;
  bool has_lease_ = false;
  bool asked_ipam_ = false;  // which has to hear a DEL
  bool has_rules_ = false;
};

}  // namespace

auto add(const Request& request) -> Result<AddResult> {
  auto config = parse_config(request);
  if (!config) return Failure(config.error());
  if (auto good = check_for_add(*config); !good) return Failure(good.error());
  // The old result has no place for an attachment without addresses; the reference finds out at the end.
  if (config->ipam.empty() && !at_least(request.version, "0.3.0")) {
    return fail("cannot convert: no valid IP addresses");
  }
  auto container = ContainerSide::open(request.environment.netns);
  if (!container) return Failure(container.error());
  auto host = open_route_socket();
  if (!host) return Failure(host.error());
  return Adding(request, std::move(*config), std::move(*host), std::move(*container)).run();
}

}  // namespace weir::cni::bridge
