#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir::view {

// Payload bytes as characters that are safe on a terminal. Each function writes into room the caller
// made (`..._room(n)` bytes for n bytes of payload), a little past what it used, and returns the
// end of what it used. All are table lookups; runs of plain characters are copied 8 bytes at a time.

using Bytes = std::span<const std::byte>;

// Bodies stand two spaces in, so that no payload can pass for a header or a session line.
inline constexpr std::string_view indent = "  ";

// --show text: 0x20..0x7e as they are, but for '%' (%25), so that the text decodes to one payload
// only; all else as %xx, lower case. A newline is %0a, then a new line and its indent - also where
// nothing follows it, which the caller takes back.
auto encode_text(char* out, Bytes bytes) -> char*;
[[nodiscard]] constexpr auto text_room(std::size_t n) -> std::size_t { return 6 * n + 16; }

// The same in a UTF-8 locale: characters above U+007F that are safe on a terminal as they are too. What is no
// character, or is one that a chunk's end has cut in two, is %xx.
auto encode_utf8_text(char* out, Bytes bytes) -> char*;
// What of the bytes is encoded next, at most so many (4 or more): it ends where a character does.
[[nodiscard]] auto text_piece(Bytes bytes, std::size_t most) -> Bytes;

// --show hex: "xx xx ...", 32 bytes a line. Every piece but a chunk's last is a multiple of 32 long.
inline constexpr std::size_t hex_line = 32;
auto encode_hex(char* out, Bytes bytes) -> char*;
[[nodiscard]] constexpr auto hex_room(std::size_t n) -> std::size_t { return 3 * n + (n / hex_line + 1) * 4 + 16; }

// --show dump: as `hexdump -C`, 16 bytes a line; `offset` is that of the first byte in its
// direction's stream. Every piece but a chunk's last is a multiple of 16 long.
inline constexpr std::size_t dump_line = 16;
auto encode_dump(char* out, Bytes bytes, std::uint64_t offset) -> char*;
[[nodiscard]] constexpr auto dump_room(std::size_t n) -> std::size_t { return (n / dump_line + 1) * 96 + 16; }

// RFC 4648 section 4, padded. Every piece but the last is a multiple of 3 long.
auto encode_base64(char* out, Bytes bytes) -> char*;
[[nodiscard]] constexpr auto base64_room(std::size_t n) -> std::size_t { return (n + 2) / 3 * 4; }

// What a peer or a path may have had a hand in, for a session line: 0x20..0x7e as they are, all else
// as %xx; with `utf8`, characters that are safe on a terminal as they are too (json_string.h).
[[nodiscard]] auto printable(std::string_view text, bool utf8 = false) -> std::string;

}  // namespace weir::view
