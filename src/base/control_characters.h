#pragma once

#include <cstddef>
#include <string_view>

namespace weir {

// How many bytes the control character at `at` has, which is to reach no terminal: 1 of ASCII's, 2 of U+0080 to U+009F
// in UTF-8 (ECMA-48's C1 set; some terminals obey its CSI). 0: there is none. `at` is below the text's size.
[[nodiscard]] constexpr auto control_bytes_at(std::string_view text, std::size_t at) -> std::size_t {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  if (byte(at) < 0x20 || byte(at) == 0x7f) return 1;
  return byte(at) == 0xc2 && byte(at + 1) >= 0x80 && byte(at + 1) <= 0x9f ? 2 : 0;
}

}  // namespace weir
