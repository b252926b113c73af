#include "cni/spec/ip.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace weir::cni {
namespace {

auto put_hex(std::string& out, std::uint8_t byte) -> void {
  static constexpr std::string_view digits = "0123456789abcdef";
  out += digits[byte >> 4U];
  out += digits[byte & 15U];
}

constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

auto append_hex(std::string& out, unsigned value) -> void {
  std::array<char, 8> digits{};
  const auto [end, ignored] = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
  out.append(digits.data(), end);
}

auto parse_number(std::string_view text, unsigned most) -> std::optional<unsigned> {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

auto hex_value(char c) -> int {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

auto Ip::v4(std::array<std::uint8_t, 4> bytes) -> Ip {
  Ip ip;
  std::copy(bytes.begin(), bytes.end(), ip.bytes_.begin());
  return ip;
}

auto Ip::v6(std::array<std::uint8_t, 16> bytes) -> Ip {
  Ip ip;
  if (std::equal(mapped_prefix.begin(), mapped_prefix.end(), bytes.begin())) {
    std::copy(bytes.begin() + 12, bytes.end(), ip.bytes_.begin());
    return ip;
  }
  ip.bytes_ = bytes;
  ip.v4_ = false;
  return ip;
}

auto Ip::from_bytes(std::span<const std::uint8_t> bytes) -> std::optional<Ip> {
  if (bytes.size() == 4) return v4({bytes[0], bytes[1], bytes[2], bytes[3]});
  if (bytes.size() != 16) return std::nullopt;
  std::array<std::uint8_t, 16> all{};
  std::copy(bytes.begin(), bytes.end(), all.begin());
  return v6(all);
}

auto Ip::parse(std::string_view text) -> std::optional<Ip> {
  std::array<char, INET6_ADDRSTRLEN> copy{};
  if (text.empty() || text.size() >= copy.size()) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  std::copy(text.begin(), text.end(), copy.begin());
  // glibc's inet_pton takes what Go takes: four decimal numbers without leading zeros, or IPv6 without zone.
  std::array<std::uint8_t, 4> four{};
  if (::inet_pton(AF_INET, copy.data(), four.data()) == 1) return v4(four);
  std::array<std::uint8_t, 16> sixteen{};
  if (::inet_pton(AF_INET6, copy.data(), sixteen.data()) == 1) return v6(sixteen);
  return std::nullopt;
}

auto Ip::is_link_local() const -> bool {
  if (v4_) return bytes_[0] == 169 && bytes_[1] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0U) == 0x80;
}

auto Ip::to_string() const -> std::string {
  std::string out;
  if (v4_) {
    for (std::size_t i = 0; i < 4; ++i) {
      if (i > 0) out += '.';
      out += std::to_string(bytes_[i]);
    }
    return out;
  }
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < 8; ++i) groups[i] = static_cast<unsigned>(bytes_[2 * i] << 8U) | bytes_[2 * i + 1];
  std::size_t best = 8;
  std::size_t best_length = 1;  // a single zero group is not shortened
  for (std::size_t i = 0; i < 8;) {
    std::size_t end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i > best_length) best = i, best_length = end - i;
    i = end == i ? i + 1 : end;
  }
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == best) {
      out += "::";
      i += best_length - 1;
      continue;
    }
    if (!out.empty() && out.back() != ':') out += ':';
    append_hex(out, groups[i]);
  }
  return out;
}

auto Ip::next() const -> Ip {
  Ip out = *this;
  for (std::size_t i = bytes().size(); i-- > 0;) {
    if (++out.bytes_[i] != 0) break;
  }
  return out;
}

auto Ip::previous() const -> Ip {
  Ip out = *this;
  for (std::size_t i = bytes().size(); i-- > 0;) {
    if (out.bytes_[i]-- != 0) break;
  }
  return out;
}

auto Ip::masked(unsigned prefix) const -> Ip {
  Ip out = *this;
  for (unsigned bit = prefix; bit < bits(); ++bit) {
    auto& byte = out.bytes_[bit / 8];
    byte = static_cast<std::uint8_t>(byte & ~(0x80U >> (bit % 8)));
  }
  return out;
}

auto Ip::filled(unsigned prefix) const -> Ip {
  Ip out = *this;
  for (unsigned bit = prefix; bit < bits(); ++bit) {
    auto& byte = out.bytes_[bit / 8];
    byte = static_cast<std::uint8_t>(byte | (0x80U >> (bit % 8)));
  }
  return out;
}

auto Ip::operator<=>(const Ip& other) const -> std::strong_ordering {
  if (v4_ != other.v4_) return v4_ ? std::strong_ordering::less : std::strong_ordering::greater;
  return bytes_ <=> other.bytes_;
}

auto Prefix::parse(std::string_view text) -> std::optional<Prefix> {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto ip = Ip::parse(text.substr(0, slash));
  if (!ip) return std::nullopt;
  // An IPv4-mapped address is written with IPv6 lengths.
  const bool mapped = ip->is_v4() && text.substr(0, slash).find(':') != std::string_view::npos;
  auto digits = text.substr(slash + 1);
  while (digits.size() > 1 && digits[0] == '0') digits.remove_prefix(1);  // Go takes them here, not in addresses
  const auto length = parse_number(digits, mapped ? 128 : ip->bits());
  if (!length || (mapped && *length < 96)) return std::nullopt;
  return Prefix{*ip, mapped ? *length - 96 : *length};
}

auto Prefix::to_string() const -> std::string { return ip.to_string() + "/" + std::to_string(length); }

auto Prefix::mask_digits() const -> std::string {
  std::string out;
  const auto mask = ip.filled(0).masked(length);
  for (const auto byte : mask.bytes()) put_hex(out, byte);
  return out;
}

auto Prefix::contains(const Ip& other) const -> bool {
  return other.is_v4() == ip.is_v4() && other.masked(length) == ip.masked(length);
}

auto to_string(const Mac& mac) -> std::string {
  std::string out;
  for (const auto octet : mac) {
    if (!out.empty()) out += ':';
    put_hex(out, octet);
  }
  return out;
}

auto parse_mac(std::string_view text) -> std::optional<Mac> {
  const bool dotted = text.size() == 14;
  if (!dotted && text.size() != 17) return std::nullopt;
  const std::size_t group = dotted ? 4 : 2;
  const char separator = dotted ? '.' : text[2];
  if (!dotted && separator != ':' && separator != '-') return std::nullopt;
  Mac mac{};
  std::size_t digits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % (group + 1) == group) {
      if (text[i] != separator) return std::nullopt;
      continue;
    }
    const int value = hex_value(text[i]);
    if (value < 0) return std::nullopt;
    mac[digits / 2] = static_cast<std::uint8_t>((mac[digits / 2] << 4U) | value);
    ++digits;
  }
  return mac;
}

}  // namespace weir::cni
