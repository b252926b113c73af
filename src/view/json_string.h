#pragma once

#include <cstddef>

#include "view/encode.h"

namespace weir::view {

struct Utf8Check {
  std::size_t valid = 0;   // length of the longest prefix that is whole characters
  bool truncated = false;  // what follows it is the beginning of one more, cut off by the end
};

// Strict: Unicode 15 table 3-7, so no overlong forms, no surrogates, nothing above U+10FFFF.
[[nodiscard]] auto check_utf8(Bytes bytes) -> Utf8Check;

// The length of the whole character that the bytes begin with; 0: they begin with none.
[[nodiscard]] auto character_length(Bytes bytes) -> std::size_t;
// The length of the character above U+007F that the bytes begin with, if it does nothing to a terminal: no control
// and no format character, such as those that encode_json escapes. 0: they begin with no such character.
[[nodiscard]] auto safe_character(Bytes bytes) -> std::size_t;

// The inside of a JSON string (RFC 8259 section 7), for valid UTF-8. Control and format characters -
// C0, DEL, C1, line separators, marks that turn the direction of the text - are escaped, so that
// the line is safe on a terminal. `ascii_only`: so is every other character above U+007F.
// Needs json_room(n) for n bytes, and a piece ends where a character ends.
auto encode_json(char* out, Bytes utf8, bool ascii_only) -> char*;
[[nodiscard]] constexpr auto json_room(std::size_t n) -> std::size_t { return 6 * n + 16; }

// The longest prefix of at most n bytes of valid UTF-8 that splits no character.
[[nodiscard]] auto whole_characters(Bytes utf8, std::size_t n) -> Bytes;

}  // namespace weir::view
