#pragma once

#include <string>

#include "base/result.h"

namespace weir::control {

// The whole text of a file that an operator names. Never waits for longer than a second in all: a pipe that nobody
// writes to, or not to its end in that time, a folder and what is larger than 64 MiB are errors, which name the path.
[[nodiscard]] auto read_text(const std::string& path) -> Result<std::string>;

}  // namespace weir::control
