#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weir::cni {

// An IPv4 or IPv6 address as a value, without port or zone. IPv4 is held in the first four bytes. An
// IPv4-mapped IPv6 address is read as IPv4, as Go's net.IP.To4 does.
class Ip {
 public:
  Ip() = default;  // 0.0.0.0
  [[nodiscard]] static auto v4(std::array<std::uint8_t, 4> bytes) -> Ip;
  [[nodiscard]] static auto v6(std::array<std::uint8_t, 16> bytes) -> Ip;
  // From 4 or 16 bytes in network order; anything else is nullopt.
  [[nodiscard]] static auto from_bytes(std::span<const std::uint8_t> bytes) -> std::optional<Ip>;
  // Go's net.ParseIP: no leading zeros in IPv4, no zone.
  [[nodiscard]] static auto parse(std::string_view text) -> std::optional<Ip>;

  [[nodiscard]] auto is_v4() const -> bool { return v4_; }
  [[nodiscard]] auto bits() const -> unsigned { return v4_ ? 32 : 128; }
  // Points into this address; of a temporary it cannot be asked (a range-based for would not keep one alive).
  [[nodiscard]] auto bytes() const& -> std::span<const std::uint8_t> { return {bytes_.data(), v4_ ? 4U : 16U}; }
  [[nodiscard]] auto bytes() const&& -> std::span<const std::uint8_t> = delete;
  [[nodiscard]] auto is_link_local() const -> bool;
  // RFC 5952: the longest run of two or more zero groups becomes "::".
  [[nodiscard]] auto to_string() const -> std::string;

  // The next address; past the highest it begins again at zero.
  [[nodiscard]] auto next() const -> Ip;
  // With all bits after the first `prefix` set to 0 or to 1. `prefix` is at most bits().
  [[nodiscard]] auto masked(unsigned prefix) const -> Ip;
  [[nodiscard]] auto filled(unsigned prefix) const -> Ip;
  [[nodiscard]] auto previous() const -> Ip;

  // IPv4 sorts before IPv6.
  auto operator<=>(const Ip& other) const -> std::strong_ordering;
  auto operator==(const Ip& other) const -> bool = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
  bool v4_ = true;
};

// An address with a prefix length: an interface's address, or a network.
struct Prefix {
  Ip ip;
  unsigned length = 0;  // 0..ip.bits()

  // "10.1.2.3/24" (Go's net.ParseCIDR; the host bits are kept). nullopt if it is none.
  [[nodiscard]] static auto parse(std::string_view text) -> std::optional<Prefix>;
  [[nodiscard]] auto to_string() const -> std::string;
  // The mask as Go's net.IPMask prints it: "ffff0000".
  [[nodiscard]] auto mask_digits() const -> std::string;
  [[nodiscard]] auto network() const -> Prefix { return {ip.masked(length), length}; }
  [[nodiscard]] auto contains(const Ip& other) const -> bool;
  auto operator==(const Prefix& other) const -> bool = default;
};

// An Ethernet address as "aa:bb:cc:dd:ee:ff".
using Mac = std::array<std::uint8_t, 6>;
[[nodiscard]] auto to_string(const Mac& mac) -> std::string;
// Six octets in hex, parted by ':' or '-', or three groups parted by '.', as Go's net.ParseMAC.
[[nodiscard]] auto parse_mac(std::string_view text) -> std::optional<Mac>;

}  // namespace weir::cni
