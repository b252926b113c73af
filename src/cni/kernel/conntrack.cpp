#include "cni/kernel/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cstddef>
#include <functional>
#include <set>

#include "cni/kernel/netlink_attributes.h"

namespace weir::cni {
namespace {

constexpr std::size_t most_walks = 16;
constexpr std::uint32_t by_source_address = 1;  // CTA_FILTER_F_CTA_IP_SRC, which no kernel header exports

auto start(unsigned what, std::uint16_t flags, std::uint8_t family) -> Message {
  Message message(static_cast<std::uint16_t>((unsigned{NFNL_SUBSYS_CTNETLINK} << 8U) | what), flags);
  message.put(nfgenmsg{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = 0});
  return message;
}

auto source_of(const Attributes& tuple, bool v4) -> std::optional<Ip> {
  const auto source = tuple.nested(CTA_TUPLE_IP).find(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC);
  return source ? Ip::from_bytes(*source) : std::nullopt;
}

auto list_all(std::uint8_t family) -> Message { return start(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family); }

// "Began by `ip`", of a dump or a deletion. For IPv4 only: of IPv6 addresses Linux (5.8 to at least 6.18,
// ctnetlink_filter_match_tuple()) takes the equal ones for different and the different ones for equal.
auto filter_source(Message& message, const Ip& ip) -> void {
  message.nest(CTA_TUPLE_ORIG, [&](Message& tuple) {
    tuple.nest(CTA_TUPLE_IP, [&](Message& address) { address.bytes(CTA_IP_V4_SRC, ip.bytes()); });
  });
  // mutant: every-connection-forgotten
  message.nest(CTA_FILTER, [](Message& filter) { filter.number(CTA_FILTER_ORIG_FLAGS, by_source_address); });
}

// Deletes those of `ips` among the entries that `dump` lists, which may be more.
auto forget_listed(NetlinkSocket& socket, const std::function<Message()>& dump, const std::set<Ip>& ips) -> void {
  std::vector<Message> doomed;
  const auto judge = [&](std::span<const std::uint8_t> payload) {
    if (payload.size() < sizeof(nfgenmsg)) return;
    const std::uint8_t family = payload[offsetof(nfgenmsg, nfgen_family)];
    const Attributes entry(payload.subspan(sizeof(nfgenmsg)));
    const auto source = source_of(entry.nested(CTA_TUPLE_ORIG), family == AF_INET);
    if (!source || !ips.contains(*source)) return;
    auto message = start(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, family);
    // The entry and no later one of the same tuple: the kernel compares the id.
    for (const std::uint16_t type : {CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID}) {
      const auto value = entry.find(type);
      const auto flag = type == CTA_TUPLE_ORIG ? NLA_F_NESTED : 0;
      if (value) message.bytes(static_cast<std::uint16_t>(type | flag), *value);
    }
    doomed.push_back(std::move(message));
  };
  // A dump that is begun again tells some entries twice; the second deletion finds nothing.
  (void)socket.dump(
      dump, [] {}, judge);
  for (auto& message : doomed) (void)socket.send(std::move(message));
}

}  // namespace

auto list_connections(const Ip& ip) -> Message {
  auto message = list_all(ip.is_v4() ? AF_INET : AF_INET6);
  if (!ip.is_v4()) return message;  // mutant: ipv6-connections-by-filter
  filter_source(message, ip);
  return message;
}

auto delete_connections(const Ip& ip) -> std::optional<Message> {
  if (!ip.is_v4()) return std::nullopt;
  auto message = start(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, AF_INET);
  filter_source(message, ip);
  return message;
}

auto forget_connections(NetlinkSocket& socket, std::span<const Ip> ips) -> void {
  if (ips.size() > most_walks) {
    return forget_listed(socket, [] { return list_all(AF_UNSPEC); }, {ips.begin(), ips.end()});
  }
  std::set<Ip> v6;
  for (const Ip& ip : ips) {
    auto deletion = delete_connections(ip);
    if (!deletion) v6.insert(ip);
    if (!deletion || socket.send(std::move(*deletion))) continue;
    // An older kernel takes the tuple for a whole connection's, and refuses it because it is not whole. Those older
    // than 5.8 take no notice of the filter, and list every entry.
    forget_listed(socket, [&] { return list_connections(ip); }, {ip});
  }
  if (v6.empty()) return;
  forget_listed(
      socket, [&] { return list_connections(*v6.begin()); }, v6);
}

}  // namespace weir::cni
