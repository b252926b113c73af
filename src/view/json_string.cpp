#include "view/json_string.h"

#include <algorithm>
#include <array>

#include "view/plain_run.h"

namespace weir::view {
namespace {

constexpr std::string_view digits = "0123456789abcdef";

// The escape of an ASCII character: eight characters at most, in one store of a fixed size.
struct Escape {
  std::array<char, 8> text{};
  std::uint8_t size = 0;  // 0: needs none
};

constexpr auto escapes = [] {
  std::array<Escape, 128> table{};
  for (unsigned i = 0; i < 0x20; ++i) {
    table[i] = {{'\\', 'u', '0', '0', digits[i >> 4], digits[i & 0xf]}, 6};
  }
  table[0x7f] = {{'\\', 'u', '0', '0', '7', 'f'}, 6};
  table['\b'] = {{'\\', 'b'}, 2};
  table['\f'] = {{'\\', 'f'}, 2};
  table['\n'] = {{'\\', 'n'}, 2};
  table['\r'] = {{'\\', 'r'}, 2};
  table['\t'] = {{'\\', 't'}, 2};
  table['"'] = {{'\\', '"'}, 2};
  table['\\'] = {{'\\', '\\'}, 2};
  return table;
}();

constexpr auto json_specials(std::uint64_t w) -> std::uint64_t {
  return word::not_ascii(w) | word::below(w, 0x20) | word::equal(w, 0x7f) | word::equal(w, '"') | word::equal(w, '\\');
}

constexpr auto is_json_special(std::byte byte) -> bool {
  const auto c = std::to_integer<std::size_t>(byte);
  return c >= escapes.size() || escapes[c].size != 0;
}

// Control and format characters of the Unicode Character Database (general categories Cc, Cf, Zl,
// Zp) above ASCII; those that no terminal acts on (Kaithi, shorthand, musical, ...) are left out.
// By the high byte first: most text has none of these pages.
auto is_unsafe(std::uint32_t code) -> bool {
  const auto within = [code](std::uint32_t first, std::uint32_t last) { return code >= first && code <= last; };
  switch (code >> 8) {
    case 0x00: return within(0x80, 0x9f) || code == 0xad;  // C1, soft hyphen
    case 0x06: return code == 0x61c;                       // Arabic letter mark
    case 0x18:
      return code == 0x180e;  // Mongolian vowel separator
    // zero width and direction marks; separators, embeddings, overrides; word joiner, isolates
    // mutant: view-direction-override-shown
    case 0x20: return within(0x200b, 0x200f) || within(0x2028, 0x202e) || within(0x2060, 0x206f);
    case 0xfe: return code == 0xfeff;          // byte order mark
    case 0xff: return within(0xfff9, 0xfffb);  // interlinear annotation
    default: return code >= 0xe0000;           // tags, variation selectors, private use
  }
}

// How many bytes a character has by its first one; 0: no character starts so.
constexpr auto length_of(unsigned lead) -> std::size_t {
  if (lead < 0x80) return 1;
  // mutant: json-overlong-form-accepted
  if (lead < 0xc2) return 0;  // a continuation byte, or the lead of an overlong form
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

// The second byte's range, narrower after four of the leads (table 3-7).
constexpr auto second_fits(unsigned lead, unsigned second) -> bool {
  switch (lead) {
    case 0xe0: return second >= 0xa0 && second <= 0xbf;
    case 0xed: return second >= 0x80 && second <= 0x9f;  // mutant: json-surrogate-accepted
    case 0xf0: return second >= 0x90 && second <= 0xbf;
    case 0xf4: return second >= 0x80 && second <= 0x8f;
    default: return second >= 0x80 && second <= 0xbf;
  }
}

auto byte_at(const std::byte* at, std::size_t i) -> unsigned { return std::to_integer<unsigned>(at[i]); }

// How many of the `available` bytes at `at` agree with a character of `length` bytes.
auto agreeing(const std::byte* at, std::size_t length, std::size_t available) -> std::size_t {
  std::size_t n = 1;
  while (n < std::min(length, available)) {
    const unsigned byte = byte_at(at, n);
    if (n == 1 ? !second_fits(byte_at(at, 0), byte) : (byte & 0xc0) != 0x80) break;
    ++n;
  }
  return n;
}

auto decode(const std::byte* at, std::size_t length) -> std::uint32_t {
  std::uint32_t code = byte_at(at, 0) & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code = code << 6 | (byte_at(at, i) & 0x3f);
  return code;
}

auto put_unit(char* out, std::uint32_t unit) -> char* {
  *out++ = '\\';
  *out++ = 'u';
  for (int shift = 12; shift >= 0; shift -= 4) *out++ = digits[unit >> shift & 0xf];
  return out;
}

auto put_escaped(char* out, std::uint32_t code) -> char* {
  if (code < 0x10000) return put_unit(out, code);
  out = put_unit(out, 0xd800 + ((code - 0x10000) >> 10));
  return put_unit(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
}

}  // namespace

auto check_utf8(Bytes bytes) -> Utf8Check {
  const std::byte* at = bytes.data();
  const std::byte* const end = at + bytes.size();
  while (at != end) {
    while (end - at >= 8 && word::not_ascii(word::load(at)) == 0) at += 8;
    if (at == end) break;
    const std::size_t length = length_of(byte_at(at, 0));
    const auto available = static_cast<std::size_t>(end - at);
    const std::size_t agreed = length == 0 ? 0 : agreeing(at, length, available);
    if (agreed < length || length == 0) {
      return {.valid = bytes.size() - available, .truncated = length != 0 && agreed == available};
    }
    at += length;
  }
  return {.valid = bytes.size(), .truncated = false};
}

auto character_length(Bytes bytes) -> std::size_t {
  const std::size_t length = bytes.empty() ? 0 : length_of(byte_at(bytes.data(), 0));
  return length == 0 || agreeing(bytes.data(), length, bytes.size()) < length ? 0 : length;
}

auto safe_character(Bytes bytes) -> std::size_t {
  const std::size_t length = character_length(bytes);
  return length < 2 || is_unsafe(decode(bytes.data(), length)) ? 0 : length;
}

auto encode_json(char* out, Bytes utf8, bool ascii_only) -> char* {
  const std::byte* at = utf8.data();
  const std::byte* const end = at + utf8.size();
  while (at != end) {
    copy_plain(out, at, end, json_specials, is_json_special);
    while (at != end && is_json_special(*at)) {
      const unsigned lead = byte_at(at, 0);
      if (lead < escapes.size()) {
        const Escape& escape = escapes[lead];
        std::memcpy(out, escape.text.data(), escape.text.size());
        out += escape.size;
        ++at;
        continue;
      }
      const std::size_t length = length_of(lead);
      const std::uint32_t code = decode(at, length);
      if (ascii_only || is_unsafe(code)) {
        out = put_escaped(out, code);
      } else {
        std::memcpy(out, at, length);
        out += length;
      }
      at += length;
    }
  }
  return out;
}

auto whole_characters(Bytes utf8, std::size_t n) -> Bytes {
  if (n >= utf8.size()) return utf8;
  while (n > 0 && (byte_at(utf8.data(), n) & 0xc0) == 0x80) --n;
  return utf8.first(n);
}

}  // namespace weir::view
