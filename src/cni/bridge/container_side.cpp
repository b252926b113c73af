#include "cni/bridge/container_side.h"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>

#include "cni/bridge/ports.h"
#include "cni/kernel/address.h"

namespace weir::cni::bridge {
namespace {

constexpr std::uint32_t loopback = 1;  // its index in every namespace
constexpr int settle_ms = 5000;        // as the reference
constexpr int settle_step_ms = 10;
constexpr int up_wait_ms = 1000;  // how late linkwatch, the kernel's task for it, may be by its own rules

auto first_gateway(const AddResult& result, bool v4) -> std::optional<Ip> {
  for (const auto& ip : result.ips) {
    if (ip.gateway && ip.gateway->is_v4() == v4) return ip.gateway;
  }
  return std::nullopt;
}

// rtnetlink(7)'s RT_SCOPE_*, in the reference's words.
auto scope_name(std::int64_t scope) -> std::string_view {
  switch (scope) {
    case RT_SCOPE_UNIVERSE: return "universe";
    case RT_SCOPE_SITE: return "site";
    case RT_SCOPE_LINK: return "link";
    case RT_SCOPE_HOST: return "host";
    case RT_SCOPE_NOWHERE: return "nowhere";
    default: return "unknown";
  }
}

auto route_text(const Route& route, const std::string& ifname) -> std::string {
  return text({"failed to add route '{", route.destination.ip.to_string(), " ", route.destination.mask_digits(),
               "} via ", route.gateway ? route.gateway->to_string() : "<nil>", " dev ", ifname, " metric ",
               std::to_string(route.priority), " (Scope: ", scope_name(route.scope.value_or(0)),
               ", Table: ", std::to_string(route.table.value_or(0)), ")'"});
}

}  // namespace

auto ContainerSide::open(const std::string& path) -> Result<ContainerSide> {
  auto netns = open_netns(path);
  if (!netns) return Failure(netns.error());
  const auto inside = InsideNetns::enter(*netns);
  if (!inside) return Failure(inside.error());
  auto socket = open_route_socket();
  if (!socket) return Failure(socket.error());
  return ContainerSide(std::move(*netns), std::move(*socket));
}

auto ContainerSide::find(const std::string& ifname) -> Result<std::optional<Link>> {
  auto link = find_link(socket_, ifname);
  if (!link) return refused(text({"failed to lookup ", in_quotes(ifname)}), link.error());
  return std::move(*link);
}

auto ContainerSide::set_sysctls(const Config& config, const std::string& ifname, bool v6) -> Result<void> {
  const auto inside = InsideNetns::enter(netns_);
  if (!inside) return Failure(inside.error());
  const auto six = text({"net/ipv6/conf/", ifname, "/"});
  // Without IPv6 in the kernel there is no such file, and nothing to set.
  (void)set_sysctl(six + "accept_dad", config.detect_duplicates ? "1" : "0");
  if (config.detect_duplicates) (void)set_sysctl(six + "enhanced_dad", "1");
  (void)set_sysctl(text({"net/ipv4/conf/", ifname, "/arp_notify"}), "1");  // tells neighbours of a reused address
  if (!v6) return {};
  for (const auto& name : {std::string("net/ipv6/conf/lo/disable_ipv6"), six + "disable_ipv6"}) {
    if (!set_sysctl(name, "0"))
      return fail(text({"failed to enable IPv6 for interface ", in_quotes(ifname), ": ", name, ": ", errno_words(errno),
                        " (the kernel has no IPv6 on a link whose MTU is below 1280, RFC 8200, section 5)"}));
  }
  (void)set_sysctl(six + "keep_addr_on_down", "1");
  (void)set_sysctl(six + "ndisc_notify", "1");  // what arp_notify is for IPv4
  return {};
}

auto ContainerSide::wait_for_detection(const std::string& ifname, std::uint32_t index) -> Result<void> {
  const auto unsettled = [&](std::initializer_list<std::string_view> words) {
    return fail(text({"failed to settle addresses for ", in_quotes(ifname), ": link ", ifname, " ", text(words)}));
  };
  for (const auto end = clock_ms() + settle_ms; clock_ms() < end; pause_us(settle_step_ms * 1000L)) {
    const auto addresses = list_addresses(socket_, index);
    if (!addresses) return refused("failed to list addresses", addresses.error());
    bool tentative = false;
    for (const auto& each : *addresses) {
      if (each.duplicate) return unsettled({"has address ", each.prefix.ip.to_string(), " in DADFAILED state"});
      tentative = tentative || each.tentative;
    }
    if (!tentative) return {};
  }
  return unsettled({"still has tentative addresses after 5 seconds"});
}

auto ContainerSide::settle(const std::string& ifname, const std::vector<Ip>& addresses) -> void {
  (void)socket_.send(set_up(loopback));
  for (const auto end = clock_ms() + up_wait_ms; clock_ms() < end; pause_us(1000)) {
    // Asking is what makes the kernel (6.8) do at once what it would do a moment later.
    const auto link = find(ifname);
    if (!link || !*link) return;
    if ((*link)->operstate != operstate_up) continue;
    const auto index = (*link)->index;
    // What arp_notify and ndisc_notify said when the interface came up was lost: the port did not forward yet. They
    // say it again for a MAC that is set, even to what it is.
    (void)socket_.send(set_mac(index, (*link)->mac));
    (void)std::all_of(addresses.begin(), addresses.end(),
                      [&](const Ip& ip) { return wait_for_address(socket_, index, ip); });
    return;
  }
}

auto ContainerSide::configure(const Config& config, const std::string& ifname, const AddResult& result)
    -> Result<void> {
  const auto link = find(ifname);
  if (!link) return Failure(link.error());
  if (!*link) return fail(text({"failed to lookup ", in_quotes(ifname), ": Link not found"}));
  const auto index = (*link)->index;
  const bool v6 =
      std::any_of(result.ips.begin(), result.ips.end(), [](const auto& ip) { return !ip.address.ip.is_v4(); });
  if (auto good = set_sysctls(config, ifname, v6); !good) return good;

  Steps steps;
  for (const auto& ip : result.ips) {
    steps.add(new_address(index, ip.address, config.detect_duplicates),
              text({"failed to add IP addr ", ip.address.to_string(), " to ", in_quotes(ifname)}));
  }
  steps.add(set_up(index), text({"failed to set ", in_quotes(ifname), " UP"}));
  if (config.detect_duplicates && v6) {
    if (auto good = steps.run(socket_); !good) return good;
    if (auto good = wait_for_detection(ifname, index); !good) return good;
    steps = {};
  }
  for (const auto& wanted : result.routes) {
    Route route = wanted;
    if (!route.gateway) route.gateway = first_gateway(result, route.destination.ip.is_v4());
    steps.add(new_route(index, route), route_text(route, ifname));
  }
  return steps.run(socket_);
}

auto ContainerSide::configure_plain(const Config& config, const std::string& ifname) -> Result<void> {
  if (config.container_interface_down) return {};
  const auto link = find(ifname);
  if (!link) return Failure(link.error());
  if (!*link) return fail(text({"failed to lookup ", in_quotes(ifname), ": Link not found"}));
  Steps steps;
  steps.add(set_up((*link)->index), text({"failed to set ", in_quotes(ifname), " up"}));
  return steps.run(socket_);
}

}  // namespace weir::cni::bridge
