// The log as a configuration file and a command line choose it.
#pragma once

#include <optional>
#include <vector>

#include "control/proxy_json.h"
#include "syslog/target_log.h"

namespace weir::control {

using syslog::LogChoice;
using syslog::settle;

// The file's table [log].
[[nodiscard]] auto read_log(const Json& object) -> Read<LogChoice>;
// As the file says it.
[[nodiscard]] auto log_json(const syslog::LogSettings& settings) -> Json;
// How each target fares.
[[nodiscard]] auto log_status_json(const syslog::TargetLog& log) -> Json;

}  // namespace weir::control
