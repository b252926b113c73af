#pragma once

#include <string>

#include "cli/api_command.h"

namespace weir::cli {

// The live sessions full screen (session_screen.h), read anew each second from this path of the API, until a key, a
// signal or an error ends it. stdout is a terminal; keys are read if stdin is one too. Returns the exit code.
auto run_session_screen(const ApiCommand& api, const std::string& path) -> int;

}  // namespace weir::cli
