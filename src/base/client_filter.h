#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/address.h"
#include "base/result.h"

namespace weir {

// Which clients something is about: one IP address, a network, or every client of a Unix socket. A value.
class ClientFilter {
 public:
  // "192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "fe80::1%eth0", "[::1]" or "unix". Bits beyond the
  // prefix are ignored. The error names what was got and these forms.
  [[nodiscard]] static auto parse(std::string_view text) -> Result<ClientFilter>;

  // An IPv4 client is the same whether it came through an IPv4 or an IPv6 socket (::ffff:192.0.2.7).
  [[nodiscard]] auto matches(const Address& client) const -> bool;
  auto operator==(const ClientFilter&) const -> bool = default;

 private:
  ClientFilter() = default;

  bool unix_ = false;
  // IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2), so that one comparison serves both.
  std::array<std::uint8_t, 16> network_{};
  unsigned prefix_ = 128;    // bits of network_ that count
  std::uint32_t scope_ = 0;  // the zone, 0: any
};

}  // namespace weir
