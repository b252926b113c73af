#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir::cli {

// Of what is printed to stdout, in columns and rows: the terminal's; COLUMNS and LINES, as POSIX has them, where that
// says nothing; else 80 and 24.
struct TerminalSize {
  std::size_t columns = 80;
  std::size_t rows = 24;
};
[[nodiscard]] auto terminal_size() -> TerminalSize;

// How many columns UTF-8 text takes: two for East Asian wide characters and emoji, none for combining marks.
[[nodiscard]] auto display_width(std::string_view text) -> std::size_t;

// The text if it takes at most so many columns; else as much of its beginning as leaves room for a ">".
[[nodiscard]] auto fit_columns(const std::string& text, std::size_t columns) -> std::string;

}  // namespace weir::cli
