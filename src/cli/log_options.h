// --log, --log-level and --log-format, for the commands that go on running.
#pragma once

#include <string>
#include <vector>

#include "cli/command_line.h"
#include "syslog/target_log.h"

namespace weir::cli {

struct LogArguments {
  std::vector<std::string> targets;
  std::string level;
  std::string format;
  // The error names the option.
  [[nodiscard]] auto parse() const -> Result<syslog::LogChoice>;
};
// `otherwise`: what holds without them, for the help.
void add_log_options(Command command, LogArguments& arguments, const std::string& otherwise);

}  // namespace weir::cli
