// The log as a configuration file and a command line choose it.
#pragma once

#include <optional>
#include <vector>

#include "control/proxy_rule.h"
#include "syslog/target_log.h"

namespace weir::control {

// What is absent is somebody else's to say.
struct LogChoice {
  std::optional<LogLevel> level;
  std::optional<syslog::LineFormat> format;
  std::optional<std::vector<syslog::Target>> targets;
};

// The file's table [log].
[[nodiscard]] auto read_log(const Json& object) -> Read<LogChoice>;
// The first choice, where it says nothing the second, and then: info, text, stderr. `quiet`: stderr takes
// errors only.
[[nodiscard]] auto settle(const LogChoice& first, const LogChoice& second, bool quiet = false) -> syslog::LogSettings;
// As the file says it.
[[nodiscard]] auto log_json(const syslog::LogSettings& settings) -> Json;
// How each target fares.
[[nodiscard]] auto log_status_json(const syslog::TargetLog& log) -> Json;

}  // namespace weir::control
