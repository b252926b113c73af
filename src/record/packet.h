// One captured packet, read down to TCP. Nothing here trusts a length that the packet says.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <tl/expected.hpp>
#include <utility>

#include "base/address.h"
#include "base/clock.h"

namespace weir::record {

// One end of a connection.
struct Endpoint {
  std::array<std::uint8_t, 16> ip{};  // IPv4 in the first four, network order
  std::uint16_t port = 0;             // host order
  bool v6 = false;
  auto operator==(const Endpoint&) const -> bool = default;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the 0 that this compares with for a pointer
  auto operator<=>(const Endpoint&) const = default;
  [[nodiscard]] auto address() const -> Address;
};

struct TcpPacket {
  MonoTime time{};  // of its capture, since 1970
  Endpoint from;
  Endpoint to;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledges = 0;  // if `ack`
  std::uint16_t window = 0;        // as it stands there, not scaled
  bool syn = false;
  bool fin = false;
  bool rst = false;
  bool ack = false;
  std::uint32_t length = 0;              // bytes of payload that were on the wire
  std::span<const std::byte> payload{};  // of these, what the capture holds: at most `length`; valid as the packet is
  std::optional<std::uint16_t> mss{};    // options; none: not there, or cut away
  std::optional<std::uint8_t> window_scale{};
  std::optional<std::pair<std::uint32_t, std::uint32_t>> first_sack{};
  // The same for copies of one packet, which a capture of several interfaces holds; of different ones most likely not.
  std::uint32_t fingerprint = 0;
};

// Why a packet is none of a TCP connection.
enum class NotTcp : std::uint8_t {
  other,     // of another protocol
  fragment,  // of an IP datagram
  cut,       // the capture holds less than its headers, or they are damaged
};

// What stands before the IP header, by libpcap's names.
enum class Link : std::uint8_t { ethernet, raw, null, sll, sll2, ppp };
[[nodiscard]] auto link_of(int dlt) -> std::optional<Link>;  // a DLT_ value; none: it is not known here

// held: what was captured of it; wire_length: what it had, at least as much. Its time is the caller's to set.
[[nodiscard]] auto read_packet(Link link, std::span<const std::byte> held, std::size_t wire_length)
    -> tl::expected<TcpPacket, NotTcp>;

}  // namespace weir::record
