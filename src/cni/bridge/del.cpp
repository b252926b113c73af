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

// The addresses of the container's interface, if it is the other end of `host_end`. None if its namespace
// is gone.
auto addresses_inside(const Request& request, const std::optional<Link>& host_end) -> std::vector<Ip> {
  std::vector<Ip> found;
  if (request.environment.netns.empty() || !host_end) return found;
  auto container = ContainerSide::open(request.environment.netns);
  const auto link = container ? container->find(request.environment.ifname) : Result<std::optional<Link>>();
  if (!container || !link || !*link) return found;
  if ((*link)->kind != "veth" || (*link)->peer != host_end->index || host_end->peer != (*link)->index) return found;
  const auto addresses = list_addresses(container->socket(), (*link)->index);
  if (!addresses) return found;
  for (const auto& each : *addresses) {
    if (!each.prefix.ip.is_link_local()) found.push_back(each.prefix.ip);
  }
  return found;
}

// Addresses are looked for where they are most likely still to be known.
auto own_addresses(const Request& request, const Config& config, const std::optional<AddResult>& previous,
                   const std::optional<Link>& host_end) -> std::vector<Ip> {
  std::vector<Ip> own;
  if (!config.masquerade) return own;
  for (const auto& each : addresses_in(previous, request.environment.ifname)) own.push_back(each.ip);
  const auto leased = leased_to(request, config);
  own.insert(own.end(), leased.begin(), leased.end());
  const auto inside = addresses_inside(request, host_end);
  own.insert(own.end(), inside.begin(), inside.end());
  std::sort(own.begin(), own.end());
  own.erase(std::unique(own.begin(), own.end()), own.end());
  return own;
}

}  // namespace

auto del(const Request& request) -> Result<void> {
  const auto config = parse_config(request);
  if (!config) return Failure(config.error());
  // A prevResult that cannot be read tells nothing; a DEL goes on without it.
  const auto parsed = previous_result(request.config, request.version);
  const auto previous = parsed ? *parsed : std::optional<AddResult>{};
  auto host = open_route_socket();
  if (!host) return Failure(host.error());
  const auto owner = attachment_of(request);
  const auto host_end = find_host_end(*host, *config, request.name, owner, previous);
  if (!host_end) return Failure(host_end.error());

  const RemovedRules::Owner rules{request.name, owner, own_addresses(request, *config, previous, *host_end)};
  auto removed = RemovedRules::of(*config, rules);
  if (*host_end) {
    const auto gone = host->send(delete_link((*host_end)->index));
    // The namespace may have been taken apart meanwhile, and the pair with it.
    if (!gone && gone.error().code != ENODEV) {
      return refused(text({"failed to delete ", in_quotes((*host_end)->name)}), gone.error());
    }
  }
  // The lease goes last, and stays where its link or rules could not be removed: DEL is called again.
  if (!removed.outcome()) return removed.outcome();
  removed.forget(rules.own);
  if (auto good = remove_empty_bridge(*host, *config); !good) return good;
  const auto released = run_ipam(request, Command::del, *config);
  if (!released) return Failure(released.error());
  return {};
}

}  // namespace weir::cni::bridge
