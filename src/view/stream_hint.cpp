#include "view/stream_hint.h"

#include <algorithm>
#include <array>

namespace weir::view {
namespace {

auto begins(Bytes bytes, std::string_view with) -> bool {
  return bytes.size() >= with.size() && std::equal(with.begin(), with.end(), bytes.begin(), [](char a, std::byte b) {
           return static_cast<unsigned char>(a) == std::to_integer<unsigned char>(b);
         });
}

// A handshake record (RFC 8446 section 5.1: 22, then a legacy version 3.0 to 3.4); also in the middle of a stream,
// after STARTTLS.
auto is_tls(Bytes bytes) -> bool {
  return begins(bytes, "\x16\x03") && (bytes.size() < 3 || std::to_integer<unsigned>(bytes[2]) <= 4);
}

// Lengths and numbers of several bytes hold zeros; text holds none, and of random bytes one in 256.
auto is_binary(Bytes bytes) -> bool {
  constexpr std::size_t looked_at = 64;
  constexpr std::ptrdiff_t many = 6;
  const Bytes first = bytes.first(std::min(looked_at, bytes.size()));
  return std::count(first.begin(), first.end(), std::byte{0}) >= many;
}

}  // namespace

auto stream_hint(Bytes bytes, std::uint64_t offset, bool text) -> std::string_view {
  using namespace std::string_view_literals;
  if (is_tls(bytes)) return "looks like TLS: the bytes are encrypted";
  if (offset != 0) return {};
  // The SSLRequest of PostgreSQL's protocol: its length, then 80877103.
  if (begins(bytes, "\0\0\0\x08\x04\xd2\x16\x2f"sv))
    return "looks like PostgreSQL asking for TLS: what follows is encrypted";
  if (begins(bytes, "SSH-2.0-")) return "looks like SSH: the bytes are encrypted after the first exchange";
  if (begins(bytes, "PRI * HTTP/2.0\r\n")) return "looks like HTTP/2: its frames are binary";
  if (text && is_binary(bytes)) return "looks like a binary protocol: --show dump shows its bytes side by side";
  return {};
}

}  // namespace weir::view
