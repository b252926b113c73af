#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace weir::view {

// Finding the first byte that cannot be copied as it is, eight bytes at a time, in plain integer
// arithmetic. Each mask has bit 7 set in the bytes that match; above the lowest match there may be
// false ones (borrows), so only the lowest one counts.
namespace word {
inline constexpr std::uint64_t ones = 0x0101010101010101;
inline constexpr std::uint64_t highs = 0x8080808080808080;

[[nodiscard]] constexpr auto not_ascii(std::uint64_t w) -> std::uint64_t { return w & highs; }
// limit <= 0x80
[[nodiscard]] constexpr auto below(std::uint64_t w, std::uint8_t limit) -> std::uint64_t {
  return (w - ones * limit) & ~w & highs;
}
[[nodiscard]] constexpr auto equal(std::uint64_t w, std::uint8_t byte) -> std::uint64_t {
  const std::uint64_t v = w ^ (ones * byte);
  return (v - ones) & ~v & highs;
}

[[nodiscard]] inline auto load(const std::byte* from) -> std::uint64_t {
  std::uint64_t w = 0;
  std::memcpy(&w, from, sizeof w);
  return w;
}
// Which byte the lowest match stands at, in memory order.
[[nodiscard]] constexpr auto first(std::uint64_t mask) -> std::size_t {
  return static_cast<std::size_t>(std::countr_zero(mask)) / 8;
}
static_assert(std::endian::native == std::endian::little, "first() counts from the lowest byte");
}  // namespace word

// Copies bytes up to the first special one or `end`, and moves both cursors; writes up to 8 bytes
// past the last copied. `special(w)` is a mask as above, `is_special(byte)` the same for one byte.
template <class Special, class IsSpecial>
void copy_plain(char*& out, const std::byte*& at, const std::byte* end, Special special, IsSpecial is_special) {
  while (end - at >= 8) {
    const std::uint64_t w = word::load(at);
    std::memcpy(out, &w, sizeof w);
    const std::uint64_t mask = special(w);
    const std::size_t plain = mask == 0 ? 8 : word::first(mask);
    at += plain;
    out += plain;
    if (mask != 0) return;
  }
  while (at != end && !is_special(*at)) *out++ = static_cast<char>(*at++);
}

}  // namespace weir::view
