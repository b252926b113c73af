#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace weir::cli {

// --ready-fd: a descriptor that whoever starts us has opened, to be told when we listen. An error if it is not open; to
// be asked before we open any ourselves, which would get its number.
[[nodiscard]] auto check_ready_fd(const std::optional<int>& fd) -> Result<void>;
// Writes "weir: LINE" and closes it, so that a script which reads it to its end goes on now and not at our exit.
[[nodiscard]] auto tell_ready_fd(const std::optional<int>& fd, const std::string& line) -> Result<void>;

}  // namespace weir::cli
