// What a JSON text would cost whoever parses it, found in one pass without parsing it. A parser keeps its
// own depth on the heap, but what copies, prints or frees the value afterwards recurses; and an object that
// keeps its members' order looks through all of them for each that is added.
#pragma once

#include <array>
#include <cstddef>
#include <limits>
#include <string_view>

namespace weir {

enum class JsonShape { fine, too_deep, too_wide };

inline constexpr std::size_t most_json_levels = 64;  // nested arrays and objects; Go's encoding/json: 10,000

// too_wide: an object has more than `most_members`. Meant for text from others; what is no JSON gets an
// answer too, and the parser's error later.
[[nodiscard]] constexpr auto judge_json_shape(std::string_view text,
                                              std::size_t most_members = std::numeric_limits<std::size_t>::max())
    -> JsonShape {
  std::array<std::size_t, most_json_levels + 1> members{};  // by level
  std::size_t level = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++level > most_json_levels) return JsonShape::too_deep;
      members[level] = 0;
    } else if ((c == '}' || c == ']') && level > 0) {
      --level;
    } else if (c == ':' && ++members[level] > most_members) {
      return JsonShape::too_wide;
    }
  }
  return JsonShape::fine;
}

}  // namespace weir
