#include "record/packet.h"

#include <pcap/dlt.h>

#include <algorithm>
#include <cstring>

namespace weir::record {
namespace {

constexpr std::uint16_t ethertype_ipv4 = 0x0800;
constexpr std::uint16_t ethertype_ipv6 = 0x86dd;
constexpr std::uint16_t ethertype_pppoe = 0x8864;
constexpr unsigned most_tags = 8;
constexpr unsigned most_extensions = 16;

// The bytes that are left of a packet. Reading past them gives zeros; whoever reads asks first.
class Bytes {
 public:
  Bytes(std::span<const std::byte> held, std::size_t wire) : held_(held), wire_(std::max(wire, held.size())) {}
  [[nodiscard]] auto has(std::size_t size) const -> bool { return held_.size() >= size; }
  [[nodiscard]] auto u8(std::size_t at) const -> std::uint8_t {
    return at < held_.size() ? static_cast<std::uint8_t>(held_[at]) : std::uint8_t{0};
  }
  [[nodiscard]] auto u16(std::size_t at) const -> std::uint16_t {
    return static_cast<std::uint16_t>(u8(at) << 8 | u8(at + 1));
  }
  [[nodiscard]] auto u32(std::size_t at) const -> std::uint32_t {
    return static_cast<std::uint32_t>(u16(at)) << 16 | u16(at + 2);
  }
  [[nodiscard]] auto held() const -> std::span<const std::byte> { return held_; }
  [[nodiscard]] auto wire() const -> std::size_t { return wire_; }
  void skip(std::size_t size) {
    held_ = held_.subspan(std::min(size, held_.size()));
    wire_ -= std::min(size, wire_);
  }
  // What is behind so many bytes of the wire is padding.
  void limit(std::size_t wire) {
    wire_ = std::min(wire_, wire);
    held_ = held_.first(std::min(held_.size(), wire_));
  }

 private:
  std::span<const std::byte> held_;
  std::size_t wire_;
};

// Skips VLAN tags (802.1Q, and 802.1ad or QinQ around them) behind an EtherType; what is in them.
auto skip_tags(Bytes& bytes, std::uint16_t type) -> std::uint16_t {
  for (unsigned i = 0; i < most_tags; ++i) {
    if (type != 0x8100 && type != 0x88a8 && type != 0x9100 && type != 0x9200) break;
    type = bytes.u16(2);
    bytes.skip(4);
  }
  if (type != ethertype_pppoe) return type;
  const std::uint16_t protocol = bytes.u16(6);
  bytes.skip(8);
  return protocol == 0x0021 ? ethertype_ipv4 : protocol == 0x0057 ? ethertype_ipv6 : std::uint16_t{0};
}

// The EtherType of what is left when the link's header is skipped; 0: not IP.
auto skip_link(Link link, Bytes& bytes) -> std::uint16_t {
  std::uint16_t type = 0;
  switch (link) {
    case Link::ethernet:
      type = bytes.u16(12);
      bytes.skip(14);
      return skip_tags(bytes, type);
    case Link::sll:
      type = bytes.u16(14);
      bytes.skip(16);
      return skip_tags(bytes, type);
    case Link::sll2:
      type = bytes.u16(0);
      bytes.skip(20);
      return skip_tags(bytes, type);
    case Link::null: bytes.skip(4); break;  // an address family, numbered by the system that wrote it
    case Link::ppp:
      if (bytes.u8(0) == 0xff) bytes.skip(2);
      bytes.skip(2);
      break;
    case Link::raw: break;
  }
  const unsigned version = bytes.u8(0) >> 4;
  return version == 4 ? ethertype_ipv4 : version == 6 ? ethertype_ipv6 : std::uint16_t{0};
}

constexpr std::uint8_t protocol_tcp = 6;

// Skips the header; the protocol behind it.
auto skip_ipv4(Bytes& bytes, TcpPacket& packet) -> tl::expected<std::uint8_t, NotTcp> {
  const std::size_t header = 4 * (bytes.u8(0) & 0xfu);
  if (!bytes.has(20) || bytes.u8(0) >> 4 != 4 || header < 20) return tl::make_unexpected(NotTcp::cut);
  const std::uint8_t protocol = bytes.u8(9);
  if (protocol != protocol_tcp) return tl::make_unexpected(NotTcp::other);
  if ((bytes.u16(6) & 0x3fffu) != 0) return tl::make_unexpected(NotTcp::fragment);
  const std::size_t total = bytes.u16(2);
  if (total != 0 && total < header) return tl::make_unexpected(NotTcp::cut);
  if (total != 0) bytes.limit(total);  // 0: what a network card was to cut into segments
  std::memcpy(packet.from.ip.data(), bytes.held().data() + 12, 4);
  std::memcpy(packet.to.ip.data(), bytes.held().data() + 16, 4);
  packet.fingerprint = bytes.u16(4);
  bytes.skip(header);
  return protocol;
}

auto skip_ipv6(Bytes& bytes, TcpPacket& packet) -> tl::expected<std::uint8_t, NotTcp> {
  if (!bytes.has(40) || bytes.u8(0) >> 4 != 6) return tl::make_unexpected(NotTcp::cut);
  std::uint8_t next = bytes.u8(6);
  const std::size_t length = bytes.u16(4);
  packet.from.v6 = packet.to.v6 = true;
  std::memcpy(packet.from.ip.data(), bytes.held().data() + 8, 16);
  std::memcpy(packet.to.ip.data(), bytes.held().data() + 24, 16);
  bytes.skip(40);
  if (length != 0) bytes.limit(length);  // 0: a jumbogram, or as above
  for (unsigned i = 0; i < most_extensions && next != protocol_tcp; ++i) {
    const bool options =
        next == 0 || next == 43 || next == 60 || next == 135;  // hop-by-hop, routing, destination, mobility
    const bool fragment = next == 44;
    const bool authentication = next == 51;
    if (!options && !fragment && !authentication) return tl::make_unexpected(NotTcp::other);
    if (!bytes.has(8)) return tl::make_unexpected(NotTcp::cut);
    if (fragment && (bytes.u16(2) & 0xfff9u) != 0) return tl::make_unexpected(NotTcp::fragment);
    next = bytes.u8(0);
    const std::size_t size = bytes.u8(1);
    bytes.skip(fragment ? 8 : authentication ? 4 * (size + 2) : 8 * (size + 1));
  }
  if (next != protocol_tcp) return tl::make_unexpected(NotTcp::other);
  return next;
}

void read_options(Bytes options, TcpPacket& packet) {
  while (options.has(2)) {
    const std::uint8_t kind = options.u8(0);
    if (kind == 0) return;
    if (kind == 1) {
      options.skip(1);
      continue;
    }
    const std::size_t size = options.u8(1);
    if (size < 2 || !options.has(size)) return;
    if (kind == 2 && size == 4) packet.mss = options.u16(2);
    if (kind == 3 && size == 3) packet.window_scale = options.u8(2);
    if (kind == 5 && size >= 10) packet.first_sack = {options.u32(2), options.u32(6)};
    if (kind == 8 && size == 10) packet.fingerprint ^= options.u32(2) * 2654435761u ^ options.u32(6) * 40503u;
    options.skip(size);
  }
}

}  // namespace

auto Endpoint::address() const -> Address { return Address(Address::Ip{.bytes = ip, .port = port, .v6 = v6}); }

auto link_of(int dlt) -> std::optional<Link> {
  switch (dlt) {
    case DLT_EN10MB: return Link::ethernet;
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6: return Link::raw;
    case DLT_NULL:
    case DLT_LOOP: return Link::null;
    case DLT_LINUX_SLL: return Link::sll;
    case DLT_LINUX_SLL2: return Link::sll2;
    case DLT_PPP: return Link::ppp;
    default: return std::nullopt;
  }
}

auto read_packet(Link link, std::span<const std::byte> held, std::size_t wire_length)
    -> tl::expected<TcpPacket, NotTcp> {
  TcpPacket packet;
  Bytes bytes(held, wire_length);
  const std::uint16_t type = skip_link(link, bytes);
  if (type != ethertype_ipv4 && type != ethertype_ipv6) {
    return tl::make_unexpected(bytes.held().empty() ? NotTcp::cut : NotTcp::other);
  }
  const auto protocol = type == ethertype_ipv4 ? skip_ipv4(bytes, packet) : skip_ipv6(bytes, packet);
  if (!protocol) return tl::make_unexpected(protocol.error());
  constexpr std::size_t needed = 16;  // up to the window: what is behind it may be cut away
  const std::size_t header = 4 * static_cast<std::size_t>(bytes.u8(12) >> 4);
  if (!bytes.has(needed) || header < 20 || header > bytes.wire()) return tl::make_unexpected(NotTcp::cut);
  packet.from.port = bytes.u16(0);
  packet.to.port = bytes.u16(2);
  packet.sequence = bytes.u32(4);
  packet.acknowledges = bytes.u32(8);
  const std::uint8_t flags = bytes.u8(13);
  packet.fin = (flags & 0x01u) != 0;
  packet.syn = (flags & 0x02u) != 0;
  packet.rst = (flags & 0x04u) != 0;
  packet.ack = (flags & 0x10u) != 0;
  packet.window = bytes.u16(14);
  if (header > 20 && bytes.has(20)) {
    Bytes options(bytes.held().subspan(20, std::min(header, bytes.held().size()) - 20), 0);
    read_options(options, packet);
  }
  bytes.skip(header);
  packet.length = static_cast<std::uint32_t>(std::min<std::size_t>(bytes.wire(), std::size_t{1} << 30));
  packet.payload = bytes.held().first(std::min<std::size_t>(bytes.held().size(), packet.length));
  packet.fingerprint ^= packet.sequence ^ packet.acknowledges * 2246822519u ^ packet.length * 3266489917u ^
                        static_cast<std::uint32_t>(packet.window) << 16 ^ flags;
  return packet;
}

}  // namespace weir::record
