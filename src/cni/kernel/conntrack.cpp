#include "cni/kernel/conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include <cstddef>
#include <functional>
#include <set>

namespace weir::cni {
namespace {

constexpr std::size_t most_walks = 16;
constexpr std::uint32_t by_source_address = 1;  // CTA_FILTER_F_CTA_IP_SRC, which no kernel header exports

auto start(unsigned what, std::uint16_t flags, std::uint8_t family) -> Message {
  Message message(static_cast<std::uint16_t>((unsigned{NFNL_SUBSYS_CTNETLINK} << 8U) | what), flags);
  message.put(nfgenmsg{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = 0});
  return message;
}

auto family_of(const Ip& ip) -> std::uint8_t { return ip.is_v4() ? AF_INET : AF_INET6; }

auto source_of(const Attributes& tuple, bool v4) -> std::optional<Ip> {
  const auto source = tuple.nested(CTA_TUPLE_IP).find(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC);
  return source ? Ip::from_bytes(*source) : std::nullopt;
}

// "Began by `ip`", of a dump or a deletion.
auto filter_source(Message& message, const Ip& ip) -> void {
  message.nest(CTA_TUPLE_ORIG, [&](Message& tuple) {
    tuple.nest(CTA_TUPLE_IP,
               [&](Message& address) { address.bytes(ip.is_v4() ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, ip.bytes()); });
  });
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
  auto message = start(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family_of(ip));
  filter_source(message, ip);
  return message;
}

auto delete_connections(const Ip& ip) -> Message {
  auto message = start(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, family_of(ip));
  filter_source(message, ip);
  return message;
}

auto forget_connections(NetlinkSocket& socket, std::span<const Ip> ips) -> void {
  if (ips.size() > most_walks) {
    const auto everything = [] { return start(IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC); };
    return forget_listed(socket, everything, {ips.begin(), ips.end()});
  }
  for (const Ip& ip : ips) {
    if (socket.send(delete_connections(ip))) continue;
    // An older kernel takes the tuple for a whole connection's, and refuses it because it is not whole. Those older
    // than 5.8 take no notice of the filter, and list every entry.
    forget_listed(socket, [&] { return list_connections(ip); }, {ip});
  }
}

}  // namespace weir::cni
