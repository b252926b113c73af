// Socket addresses as values. How users write them: base/listen_address.h, base/upstream_address.h.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/result.h"

namespace weir {

constexpr std::size_t longest_unix_path = 107;  // bytes, without the NUL (unix(7))

// An address a socket can be bound or connected to: IPv4, IPv6 or a Unix path. A value: copyable,
// comparable, no lookup ever. 32 bytes for IP; a Unix path is on the heap if long.
class Address {
 public:
  struct Ip {
    std::array<std::uint8_t, 16> bytes{};  // IPv4 in the first four, network order
    std::uint32_t scope = 0;               // IPv6 zone index, 0 if none
    std::uint16_t port = 0;                // host order
    bool v6 = false;
    auto operator==(const Ip&) const -> bool = default;
  };
  struct Unix {
    std::string path;  // empty: an unnamed client; first byte '@': the abstract namespace
    auto operator==(const Unix&) const -> bool = default;
  };

  Address() : value_(Ip{}) {}  // 0.0.0.0:0
  explicit Address(Ip ip) : value_(ip) {}
  explicit Address(Unix path) : value_(std::move(path)) {}

  // Parses a numeric IPv4 or IPv6 address (with %zone if link-local), no brackets, no port.
  [[nodiscard]] static auto parse_ip(std::string_view host, std::uint16_t port) -> Result<Address>;
  // From what the kernel gave; an unknown family is an Error.
  [[nodiscard]] static auto from_sockaddr(const sockaddr* address, socklen_t length) -> Result<Address>;

  // Fills `storage` and returns the length bind(2) and connect(2) want.
  [[nodiscard]] auto to_sockaddr(sockaddr_storage& storage) const -> socklen_t;

  [[nodiscard]] auto family() const -> int;  // AF_INET, AF_INET6 or AF_UNIX
  [[nodiscard]] auto is_ip() const -> bool { return std::holds_alternative<Ip>(value_); }
  [[nodiscard]] auto port() const -> std::uint16_t;  // 0 for Unix
  [[nodiscard]] auto ip() const -> const Ip* { return std::get_if<Ip>(&value_); }
  [[nodiscard]] auto unix_path() const -> const std::string*;
  // 127.0.0.0/8, ::1, and the former written as IPv6 (RFC 4291, 2.5.5.2).
  [[nodiscard]] auto is_loopback() const -> bool;
  // 0.0.0.0 or ::, of any port.
  [[nodiscard]] auto is_unspecified() const -> bool;

  // "127.0.0.1:8888", "[::1]:8888", "unix:/run/x.sock", "unix:" for an unnamed peer.
  [[nodiscard]] auto to_string() const -> std::string;
  // The host alone: "127.0.0.1", "::1", "unix:/run/x.sock".
  [[nodiscard]] auto host_string() const -> std::string;

  auto operator==(const Address&) const -> bool = default;

 private:
  std::variant<Ip, Unix> value_;
};

}  // namespace weir
