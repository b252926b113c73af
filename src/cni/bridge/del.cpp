#include <algorithm>
#include <cerrno>

#include "cni/bridge/attachment_link.h"
#include "cni/bridge/container_side.h"
#include "cni/bridge/empty_bridge.h"
#include "cni/bridge/plugin.h"
#include "cni/bridge/ports.h"
#include "cni/bridge/rules.h"
#include "cni/kernel/address.h"

namespace weir::cni::bridge {
namespace {

// The container's end, seen from within; nothing if its namespace is gone.
struct Inside {
  ContainerSide container;
  Link link;
};
auto look_inside(const Request& request) -> std::optional<Inside> {
  if (request.environment.netns.empty()) return std::nullopt;
  auto container = ContainerSide::open(request.environment.netns);
  if (!container) return std::nullopt;
  auto link = container->find(request.environment.ifname);
  if (!link || !*link) return std::nullopt;
  return Inside{std::move(*container), std::move(**link)};
}

// Addresses are looked for where they are most likely still to be known.
auto own_addresses(const Request& request, const std::vector<Ip>& leased, const std::optional<AddResult>& previous,
                   const std::optional<Link>& host_end, std::optional<Inside>& inside) -> std::vector<Ip> {
  std::vector<Ip> own = leased;
  for (const auto& each : addresses_in(previous, request.environment.ifname)) own.push_back(each.ip);
  if (const auto alias = host_end ? parse_alias(host_end->alias) : std::nullopt) {
    const auto named = addresses_named(*alias);
    own.insert(own.end(), named.begin(), named.end());
  }
  if (inside) {
    const auto addresses = list_addresses(inside->container.socket(), inside->link.index);
    for (const auto& each : addresses ? *addresses : std::vector<InterfaceAddress>{}) {
      if (!each.prefix.ip.is_link_local()) own.push_back(each.prefix.ip);
    }
  }
  std::sort(own.begin(), own.end());
  own.erase(std::unique(own.begin(), own.end()), own.end());
  return own;
}

// The bridge that it is a port of, if prevResult names it: the configuration may name another by now. Else 0.
auto bridge_left(NetlinkSocket& socket, const Link& host_end, const std::optional<AddResult>& previous)
    -> std::uint32_t {
  if (!previous || host_end.master == 0) return 0;
  const auto bridge = find_link(socket, host_end.master);
  if (!bridge || !*bridge) return 0;
  const bool is_named =
      std::any_of(previous->interfaces.begin(), previous->interfaces.end(),
                  [&](const Interface& each) { return each.sandbox.empty() && each.name == (*bridge)->name; });
  return is_named ? host_end.master : 0;
}

}  // namespace

auto del(const Request& request) -> Result<void> {
  const auto config = parse_config(request);
  if (!config) return Failure(config.error());
  // A prevResult that is no result of our version tells nothing; a DEL goes on without it.
  const auto parsed = previous_result(request.config, request.version);
  const auto previous = parsed ? *parsed : std::optional<AddResult>{};
  auto host = open_route_socket();
  if (!host) return Failure(host.error());
  const auto owner = attachment_of(request);
  auto host_end = find_host_end(*host, *config, request.name, owner, previous);
  if (!host_end) return Failure(host_end.error());
  if (!*host_end) host_end = find_renamed_host_end(*host, request.name, owner);
  if (!host_end) return Failure(host_end.error());
  auto inside = config->masquerade && *host_end ? look_inside(request) : std::optional<Inside>{};
  // An interface of that name which is not the other end is somebody else's, and so are its addresses.
  const bool is_pair = inside && *host_end && inside->link.kind == "veth" && inside->link.peer == (*host_end)->index &&
                       (*host_end)->peer == inside->link.index;
  if (!is_pair) inside.reset();

  // What the configuration says by now of masquerading and filters tells nothing of what was added.
  const auto leased = leased_to(request, *config);
  const RemovedRules::Subject rules{request.name, owner, own_addresses(request, leased, previous, *host_end, inside),
                                    [&] { return addresses_of_the_others(request, is_host_local(*config)); }};
  auto removed = RemovedRules::remove_of(rules);
  const auto bridge = *host_end ? bridge_left(*host, **host_end, previous) : 0;
  if (*host_end) {
    const auto gone = host->send(delete_link((*host_end)->index));
    // The namespace may have been taken apart meanwhile, and the pair with it.
    if (!gone && gone.error().code != ENODEV) {
      return refused(text({"failed to delete ", in_quotes((*host_end)->name)}), gone.error());
    }
  }
  // The lease goes last, and stays where its link or rules could not be removed: DEL is called again.
  if (!removed.outcome()) return removed.outcome();
  // Without a link, prevResult's addresses may be somebody else's by now: a DEL may be called again at any time.
  if (config->masquerade || removed.any()) removed.forget(*host_end ? rules.own : leased);
  const auto released = run_ipam(request, Command::del, *config);
  if (!released) return Failure(released.error());
  return remove_empty_bridge(*host, *config, bridge);
}

}  // namespace weir::cni::bridge
