#include <linux/if.h>

#include <algorithm>
#include <map>
#include <utility>

#include "cni/bridge/attachment_link.h"
#include "cni/bridge/container_side.h"
#include "cni/bridge/host_side.h"
#include "cni/bridge/host_state.h"
#include "cni/bridge/plugin.h"
#include "cni/bridge/ports.h"
#include "cni/bridge/rules.h"
#include "cni/kernel/address.h"

namespace weir::cni::bridge {
namespace {

// In whatever spelling it is said.
auto is_mac(const std::string& said, const Link& link) -> bool { return said.empty() || parse_mac(said) == link.mac; }

// As Go prints a route of the specification.
auto in_words(const Route& route) -> std::string {
  const auto number = [](const auto& value) { return value ? std::to_string(*value) : std::string("<nil>"); };
  return text({"{Dst:{IP:", route.destination.ip.to_string(), " Mask:", route.destination.mask_digits(),
               "} GW:", route.gateway ? route.gateway->to_string() : "<nil>", " MTU:", std::to_string(route.mtu),
               " AdvMSS:", std::to_string(route.advmss), " Priority:", std::to_string(route.priority),
               " Table:", number(route.table), " Scope:", number(route.scope), "}"});
}

// Whether `route` of the kernel's is the wanted one. What that does not say may be anything.
auto is_route(const Route& wanted, const std::vector<Ip>& gateways, const Route& route) -> bool {
  const bool by_gateway = gateways.empty() || (route.gateway && std::find(gateways.begin(), gateways.end(),
                                                                          *route.gateway) != gateways.end());
  const auto same = [](std::int64_t said, std::int64_t is) { return said == 0 || said == is; };
  return by_gateway && (!wanted.table || route.table == wanted.table) &&
         (!wanted.scope || route.scope == wanted.scope) && same(wanted.priority, route.priority) &&
         same(wanted.mtu, route.mtu) && same(wanted.advmss, route.advmss);
}

// An attachment as prevResult has it, against what the kernel has. The order and the messages are the
// reference's; what it does not look at comes last.
class Checking {
 public:
  Checking(const Request& request, const Config& config, const AddResult& previous, NetlinkSocket host,
           ContainerSide container)
      : request_(&request),
        config_(&config),
        previous_(&previous),
        host_(std::move(host)),
        container_(std::move(container)) {}

  auto run() -> Result<void> {
    if (auto good = check_bridge(); !good) return good;
    if (auto good = check_container(); !good) return good;
    if (auto good = check_port(); !good) return good;
    if (auto good = check_addresses(); !good) return good;
    if (auto good = check_routes(); !good) return good;
    if (auto good = check_settings(); !good) return good;
    RuleWish rules{request_->name, attachment_of(*request_), {}, port_.name, inside_.mac};
    rules.addresses = addresses_in(*previous_, request_->environment.ifname);
    return check_rules(*config_, rules);
  }

 private:
  auto check_bridge() -> Result<void> {
    const auto said = std::find_if(previous_->interfaces.begin(), previous_->interfaces.end(),
                                   [&](const Interface& each) { return each.name == config_->bridge; });
    if (said == previous_->interfaces.end()) return fail("Interface name missing ");
    const auto link = find_link(host_, said->name);
    if (!link) return refused("failed to lookup " + said->name, link.error());
    if (!*link) return fail(text({"Interface name ", said->name, " not found"}));
    if (!said->sandbox.empty()) return fail(text({"Interface ", said->name, " should not be in sandbox"}));
    if ((*link)->kind != "bridge") {
      return fail(text({"Interface ", said->name, " does not have link type of bridge"}));
    }
    if (!is_mac(said->mac, **link)) {
      return fail(text({"Bridge interface ", said->name, " Mac doesn't match: ", said->mac}));
    }
    const bool promiscuous = ((*link)->flags & IFF_PROMISC) != 0;  // not for a program that listens there
    const auto word = [](bool value) { return value ? "true" : "false"; };
    if (promiscuous != config_->promiscuous) {
      return fail(text({"Bridge interface ", said->name, " configured Promisc Mode ", word(config_->promiscuous),
                        " doesn't match current state: ", word(promiscuous), " "}));
    }
    bridge_ = **link;
    return {};
  }

  auto check_container() -> Result<void> {
    const auto& ifname = request_->environment.ifname;
    const auto& netns = request_->environment.netns;
    const auto said =
        std::find_if(previous_->interfaces.begin(), previous_->interfaces.end(), [&](const Interface& each) {
          const bool is_there = each.sandbox == netns || is_same_netns(each.sandbox, netns);
          return each.name == ifname && is_there;
        });
    if (said == previous_->interfaces.end()) {
      return fail(text({"Sandbox in prevResult  doesn't match configured netns: ", netns}));
    }
    const auto link = container_.find(ifname);
    if (!link) return Failure(link.error());
    if (!*link) return fail(text({"Interface name ", ifname, " not found"}));
    if ((*link)->kind != "veth") return fail(text({"Error: Container interface ", ifname, " not of type veth"}));
    if (!is_mac(said->mac, **link)) {
      return fail(
          text({"Interface ", ifname, " Mac ", said->mac, " doesn't match container Mac: ", to_string((*link)->mac)}));
    }
    inside_ = **link;
    return {};
  }

  auto check_port() -> Result<void> {
    for (const auto& said : previous_->interfaces) {
      if (said.name == config_->bridge || !said.sandbox.empty()) continue;
      const auto link = find_link(host_, said.name);
      if (!link) return refused("failed to lookup " + said.name, link.error());
      if (!*link) return fail(text({"Interface name ", said.name, " not found"}));
      const bool is_it = (*link)->kind == "veth" && (*link)->index == inside_.peer && (*link)->peer == inside_.index &&
                         (*link)->master == bridge_.index;
      if (!is_it) continue;
      if (!is_mac(said.mac, **link)) {
        return fail(text({"Interface ", said.name, " Mac doesn't match: ", said.mac, " not found"}));
      }
      port_ = **link;
      return {};
    }
    return fail(text({"CNI veth created for bridge ", config_->bridge, " was not found"}));
  }

  auto check_addresses() -> Result<void> {
    const auto& ifname = request_->environment.ifname;
    const auto now = list_addresses(container_.socket(), inside_.index);
    if (!now) return refused("failed to list addresses of " + ifname, now.error());
    auto routes = list_routes(container_.socket());
    if (!routes) return refused("failed to list routes", routes.error());
    routes_ = std::move(*routes);
    for (const auto& wanted : addresses_in(*previous_, ifname)) {
      const bool there = std::any_of(now->begin(), now->end(), [&](const InterfaceAddress& each) {
        return each.prefix == wanted && !each.duplicate;  // which nobody can use
      });
      if (!there) return fail(text({"Failed to match addr ", wanted.to_string(), " on interface ", ifname}));
      // The kernel's own route to the subnet; an address that is a subnet of its own needs none, and to a subnet that
      // begins in 0.0.0.0/8 there is none.
      const bool has_none = wanted.length == wanted.ip.bits() ||
                            (wanted.ip.is_v4() && Prefix::parse("0.0.0.0/8")->contains(wanted.network().ip));
      const bool connected = has_none || std::any_of(routes_.begin(), routes_.end(), [&](const KernelRoute& each) {
                               return each.index == inside_.index && each.route.destination == wanted.network();
                             });
      if (connected) continue;
      return fail(text({"Failed to find Gateway ", gateway_of(wanted), " for interface ", ifname}));
    }
    return {};
  }

  auto check_routes() -> Result<void> {
    std::multimap<std::pair<Ip, unsigned>, const KernelRoute*> there;
    for (const auto& each : routes_) {
      const auto& [ip, length] = each.route.destination;
      if (each.index == inside_.index) there.emplace(std::pair(ip, length), &each);
    }
    const auto ips = ips_in(*previous_, request_->environment.ifname);
    for (const auto& said : previous_->routes) {
      const auto wanted = said.as_kernel_has_it();
      // Without a gateway of its own it has the one of an address.
      std::vector<Ip> gateways;
      if (wanted.gateway) gateways.push_back(*wanted.gateway);
      for (const auto& ip : ips) {
        const bool may = !wanted.gateway && ip.gateway && ip.gateway->is_v4() == wanted.destination.ip.is_v4();
        if (may) gateways.push_back(*ip.gateway);
      }
      const auto [first, last] = there.equal_range({wanted.destination.ip, wanted.destination.length});
      const bool found =
          std::any_of(first, last, [&](const auto& each) { return is_route(wanted, gateways, each.second->route); });
      if (!found) return fail(text({"Expected Route ", in_words(said), " not found in routing table"}));
    }
    return {};
  }

  // As prevResult has it.
  [[nodiscard]] auto gateway_of(const Prefix& address) const -> std::string {
    for (const auto& ip : previous_->ips) {
      if (ip.address == address && ip.gateway) return ip.gateway->to_string();
    }
    return "<nil>";
  }

  // What anybody may have changed since.
  auto check_settings() -> Result<void> {
    const auto differs = [&](std::string_view what, bool wanted) {
      return fail(
          text({"Interface ", port_.name, " ", what, " doesn't match: configured ", wanted ? "true" : "false"}));
    };
    if (port_.hairpin != config_->hairpin) return differs("hairpin mode", config_->hairpin);
    if (port_.isolated != config_->isolated) return differs("port isolation", config_->isolated);
    if (!config_->container_interface_down && (inside_.flags & IFF_UP) == 0) {
      return fail(text({"Interface ", inside_.name, " is down"}));
    }
    if (auto good = check_links(*config_, bridge_, port_, inside_); !good) return good;
    if (auto good = check_vlans(host_, *config_, port_); !good) return good;
    return check_gateways(host_, *config_, bridge_, ips_in(*previous_, request_->environment.ifname));
  }

  const Request* request_;
  const Config* config_;
  const AddResult* previous_;
  NetlinkSocket host_;
  ContainerSide container_;
  Link bridge_;
  Link port_;
  Link inside_;
  std::vector<KernelRoute> routes_;
};

}  // namespace

auto check(const Request& request) -> Result<void> {
  const auto config = parse_config(request);
  if (!config) return Failure(config.error());
  auto container = ContainerSide::open(request.environment.netns);
  if (!container) return Failure(container.error());
  const auto ipam = run_ipam(request, Command::check, *config);
  if (!ipam) return Failure(ipam.error());
  if (auto good = check_previous_version(request.config, request.version); !good) return good;
  const auto previous = previous_result(request.config, request.version);
  if (!previous) return Failure(previous.error());
  if (!*previous) return fail("Required prevResult missing");
  auto host = open_route_socket();
  if (!host) return Failure(host.error());
  return Checking(request, *config, **previous, std::move(*host), std::move(*container)).run();
}

}  // namespace weir::cni::bridge
