// `weir why FILE...`: the diagnosis of captures.
#pragma once

#include <string>
#include <vector>

#include "cli/why_report.h"

namespace weir::cli {

// Is the first word of `weir why` a capture, not an address to listen on? "-", the name of a file that is there, or a
// word that can only be one. A number is a port, also where a file is called so.
[[nodiscard]] auto is_capture_word(const std::string& word) -> bool;

struct WhyFiles {
  std::vector<std::string> names;
  WhyOutput output;
};
// Returns the exit code.
auto run_why_files(const WhyFiles& files) -> int;

}  // namespace weir::cli
