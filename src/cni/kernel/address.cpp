#include "cni/kernel/address.h"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cerrno>

#include "cni/kernel/netlink_attributes.h"

namespace weir::cni {
namespace {

auto family_of(const Ip& ip) -> std::uint8_t { return ip.is_v4() ? AF_INET : AF_INET6; }

auto about(std::uint32_t index, const Prefix& address) -> ifaddrmsg {
  ifaddrmsg info{};
  info.ifa_family = family_of(address.ip);
  info.ifa_prefixlen = static_cast<std::uint8_t>(address.length);
  info.ifa_index = index;
  return info;
}

auto parse_address(std::span<const std::uint8_t> payload, std::uint32_t index) -> std::optional<InterfaceAddress> {
  ifaddrmsg info{};
  if (payload.size() < sizeof(info)) return std::nullopt;
  std::memcpy(&info, payload.data(), sizeof(info));
  const Attributes attributes(payload.subspan(sizeof(info)));
  const auto local = attributes.find(IFA_LOCAL);
  const auto address = local ? local : attributes.find(IFA_ADDRESS);
  const auto ip = address ? Ip::from_bytes(*address) : std::nullopt;
  if (!ip || info.ifa_index != index) return std::nullopt;
  const auto flags = attributes.number<std::uint32_t>(IFA_FLAGS).value_or(info.ifa_flags);
  return InterfaceAddress{.prefix = {*ip, info.ifa_prefixlen},
                          .tentative = (flags & IFA_F_TENTATIVE) != 0,
                          .duplicate = (flags & IFA_F_DADFAILED) != 0};
}

}  // namespace

auto list_addresses(NetlinkSocket& socket, std::uint32_t index) -> Answer<std::vector<InterfaceAddress>> {
  std::vector<InterfaceAddress> addresses;
  const auto make = [&] {
    Message message(RTM_GETADDR, NLM_F_DUMP);
    ifaddrmsg info{};
    info.ifa_index = index;
    message.put(info);
    return message;
  };
  const auto answer = socket.dump(
      make, [&] { addresses.clear(); },
      [&](auto payload) {
        if (const auto one = parse_address(payload, index)) addresses.push_back(*one);
      });
  if (!answer && answer.error().code != ENODEV) return tl::unexpected(answer.error());
  return addresses;
}

auto new_address(std::uint32_t index, const Prefix& address, bool detect_duplicates) -> Message {
  Message message(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
  auto info = about(index, address);
  if (!address.ip.is_v4() && !detect_duplicates) info.ifa_flags = IFA_F_NODAD;
  message.put(info).bytes(IFA_LOCAL, address.ip.bytes()).bytes(IFA_ADDRESS, address.ip.bytes());
  if (address.ip.is_v4() && address.length < 31) {
    const auto broadcast = address.ip.filled(address.length);
    message.bytes(IFA_BROADCAST, broadcast.bytes());
  }
  return message;
}

auto delete_address(std::uint32_t index, const Prefix& address) -> Message {
  Message message(RTM_DELADDR, NLM_F_ACK);
  message.put(about(index, address)).bytes(IFA_LOCAL, address.ip.bytes()).bytes(IFA_ADDRESS, address.ip.bytes());
  return message;
}

auto is_taken_in(NetlinkSocket& socket, std::uint32_t index, const Ip& ip) -> TakenIn {
  Message message(RTM_GETROUTE, NLM_F_ACK);
  rtmsg question{};
  question.rtm_family = family_of(ip);
  question.rtm_dst_len = static_cast<std::uint8_t>(ip.bits());
  message.put(question).bytes(RTA_DST, ip.bytes());
  message.number(RTA_OIF, index);
  rtmsg answer{};
  std::uint32_t table = RT_TABLE_UNSPEC;
  const auto asked = socket.ask(std::move(message), [&](auto payload) {
    if (payload.size() < sizeof(answer)) return;
    std::memcpy(&answer, payload.data(), sizeof(answer));
    table = Attributes(payload.subspan(sizeof(answer)))
                .template number<std::uint32_t>(RTA_TABLE)
                .value_or(answer.rtm_table);
  });
  // A blackhole of somebody's says something else than that there is no route.
  if (!asked) return asked.error().code == ENETUNREACH ? TakenIn::not_yet : TakenIn::unknown;
  if (answer.rtm_type == RTN_LOCAL) return TakenIn::yes;
  return table == RT_TABLE_MAIN || table == RT_TABLE_LOCAL ? TakenIn::not_yet : TakenIn::unknown;
}

auto forget_neighbour(std::uint32_t index, const Ip& ip) -> Message {
  Message message(RTM_DELNEIGH, NLM_F_ACK);
  ndmsg about{};
  about.ndm_family = family_of(ip);
  about.ndm_ifindex = static_cast<int>(index);
  message.put(about).bytes(NDA_DST, ip.bytes());
  return message;
}

auto new_route(std::uint32_t index, const Route& route) -> Message {
  Message message(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE);
  rtmsg info{};
  info.rtm_family = family_of(route.destination.ip);
  info.rtm_dst_len = static_cast<std::uint8_t>(route.destination.length);
  info.rtm_table = RT_TABLE_MAIN;
  info.rtm_protocol = RTPROT_BOOT;
  info.rtm_type = RTN_UNICAST;
  info.rtm_scope = static_cast<std::uint8_t>(route.scope.value_or(RT_SCOPE_UNIVERSE));
  if (route.table && *route.table > 255) info.rtm_table = RT_TABLE_UNSPEC;
  message.put(info);
  // IPv4 refuses host bits, IPv6 passes over them.
  const auto destination = route.destination.network();
  if (destination.length > 0) message.bytes(RTA_DST, destination.ip.bytes());
  if (route.gateway) message.bytes(RTA_GATEWAY, route.gateway->bytes());
  message.number(RTA_OIF, index);
  if (route.table && *route.table > 0) message.number(RTA_TABLE, static_cast<std::uint32_t>(*route.table));
  if (route.priority > 0) message.number(RTA_PRIORITY, static_cast<std::uint32_t>(route.priority));
  if (route.mtu == 0 && route.advmss == 0) return message;
  message.nest(RTA_METRICS, [&](Message& metrics) {
    if (route.mtu > 0) metrics.number(RTAX_MTU, static_cast<std::uint32_t>(route.mtu));
    if (route.advmss > 0) metrics.number(RTAX_ADVMSS, static_cast<std::uint32_t>(route.advmss));
  });
  return message;
}

namespace {

// A route with several next hops, which the kernel makes of IPv6 routes that differ in nothing else, counts as that
// many routes.
auto parse_route(std::span<const std::uint8_t> payload, std::vector<KernelRoute>& into) -> void {
  rtmsg info{};
  if (payload.size() < sizeof(info)) return;
  std::memcpy(&info, payload.data(), sizeof(info));
  if (info.rtm_type != RTN_UNICAST || (info.rtm_family != AF_INET && info.rtm_family != AF_INET6)) return;
  const Attributes attributes(payload.subspan(sizeof(info)));
  KernelRoute found;
  const auto any = info.rtm_family == AF_INET ? Ip::v4({}) : Ip::v6({});
  const auto destination = attributes.find(RTA_DST);
  found.route.destination = {destination ? Ip::from_bytes(*destination).value_or(any) : any, info.rtm_dst_len};
  found.route.priority = attributes.number<std::uint32_t>(RTA_PRIORITY).value_or(0);
  found.route.table = attributes.number<std::uint32_t>(RTA_TABLE).value_or(info.rtm_table);
  found.route.scope = info.rtm_scope;
  const auto metrics = attributes.nested(RTA_METRICS);
  found.route.mtu = metrics.number<std::uint32_t>(RTAX_MTU).value_or(0);
  found.route.advmss = metrics.number<std::uint32_t>(RTAX_ADVMSS).value_or(0);
  const auto add = [&](std::uint32_t index, const Attributes& hop) {
    found.index = index;
    const auto gateway = hop.find(RTA_GATEWAY);
    found.route.gateway = gateway ? Ip::from_bytes(*gateway) : std::nullopt;
    into.push_back(found);
  };
  auto hops = attributes.find(RTA_MULTIPATH);
  if (!hops) return add(attributes.number<std::uint32_t>(RTA_OIF).value_or(0), attributes);
  rtnexthop hop{};
  while (hops->size() >= sizeof(hop)) {
    std::memcpy(&hop, hops->data(), sizeof(hop));
    if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > hops->size()) return;
    add(static_cast<std::uint32_t>(hop.rtnh_ifindex), Attributes(hops->first(hop.rtnh_len).subspan(sizeof(hop))));
    hops = hops->subspan(std::min<std::size_t>(RTNH_ALIGN(hop.rtnh_len), hops->size()));
  }
}

}  // namespace

auto list_routes(NetlinkSocket& socket) -> Answer<std::vector<KernelRoute>> {
  std::vector<KernelRoute> routes;
  const auto make = [] {
    Message message(RTM_GETROUTE, NLM_F_DUMP);
    message.put(rtmsg{});
    return message;
  };
  const auto answer = socket.dump(
      make, [&] { routes.clear(); }, [&](auto payload) { parse_route(payload, routes); });
  if (!answer) return tl::unexpected(answer.error());
  return routes;
}

}  // namespace weir::cni
