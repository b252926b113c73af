#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace weir::view {

// --color
enum class ColorMode : std::uint8_t { automatic, always, never };

// "auto", "always" or "never"; the error names them.
[[nodiscard]] auto parse_color_mode(std::string_view text) -> Result<ColorMode>;

// What the environment says about a terminal. Variables are nullptr where they are not set.
struct TerminalFacts {
  bool is_terminal = false;        // isatty(3)
  const char* no_color = nullptr;  // NO_COLOR
  const char* term = nullptr;      // TERM
};

// auto: colours on a terminal that can show them (TERM is set and not "dumb"), unless NO_COLOR is set
// and not empty (no-color.org). An explicit always or never stands above the environment.
[[nodiscard]] auto resolve_color(ColorMode mode, const TerminalFacts& facts) -> bool;
// The same, for a descriptor of this process.
[[nodiscard]] auto resolve_color(ColorMode mode, int fd) -> bool;

// Whether the user's locale is UTF-8, by LC_ALL, LC_CTYPE and LANG in this order, the first that is
// set and not empty (POSIX, section 8.2).
[[nodiscard]] auto is_utf8_locale(const char* lc_all, const char* lc_ctype, const char* lang) -> bool;
[[nodiscard]] auto is_utf8_locale() -> bool;

}  // namespace weir::view
