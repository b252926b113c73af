#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace weir {

// Where to listen, as written by the user:
//   8888            127.0.0.1 only
//   :8888           all addresses, IPv4 and IPv6
//   host:8888       the addresses of host (numeric, or "localhost")
//   [::1]:8888      one IPv6 address
//   unix:/path      a Unix socket; unix:@name in the abstract namespace
// Port 0 lets the kernel pick one. Unlike an upstream, a name is not looked up: only "localhost" is
// known, so that listening never depends on DNS.
struct ListenAddress {
  std::vector<Address> addresses;  // at least one; two for ":port" (IPv6 first) and for localhost
  std::string text;                // as the user wrote it
  [[nodiscard]] static auto parse(std::string_view text) -> Result<ListenAddress>;
  // The same with another port, in canonical text. A Unix path has none.
  [[nodiscard]] auto at_port(std::uint16_t port) const -> ListenAddress;
  // In one form, however it was written: "127.0.0.1:8888", ":8888", "localhost:8888", "unix:/path".
  [[nodiscard]] auto canonical() const -> std::string;
  // Two are equal that bind the same addresses, however they were written.
  auto operator==(const ListenAddress& other) const -> bool { return addresses == other.addresses; }
};

}  // namespace weir
