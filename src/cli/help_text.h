// --help, broken at the terminal's width.
#pragma once

#include <cstddef>
#include <string>

#include "cli/command_line.h"

namespace weir::cli {

// `path`: the words that call it, such as "weir proxy add".
[[nodiscard]] auto help_text(const CommandText& command, const std::string& path, std::size_t width) -> std::string;
// For stdout as it is: the terminal's width, at most 100, as longer lines are hard to read.
[[nodiscard]] auto help_width() -> std::size_t;

// Every line that is longer than the width, broken at blanks; what is broken off stands under the line's last column
// (text after two blanks or more), or a little further in than the line itself.
[[nodiscard]] auto wrap_lines(const std::string& text, std::size_t width) -> std::string;

}  // namespace weir::cli
