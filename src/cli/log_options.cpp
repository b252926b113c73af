#include "cli/log_options.h"

#include "cli/command.h"

namespace weir::cli {

auto LogArguments::parse() const -> Result<syslog::LogChoice> {
  syslog::LogChoice choice;
  if (!targets.empty()) {
    auto parsed = syslog::LogSettings::parse_targets(targets);
    if (!parsed) return failure("--log: " + parsed.error().message);
    choice.targets = *std::move(parsed);
  }
  if (!level.empty()) {
    choice.level = parse_log_level(level);
    if (!choice.level) return failure("--log-level: write debug, info, warning or error, not \"" + level + "\"");
  }
  if (!format.empty()) {
    const auto parsed = syslog::parse_line_format(format);
    if (!parsed) return failure("--log-format: " + parsed.error().message);
    choice.format = *parsed;
  }
  return choice;
}

void add_log_options(Command command, LogArguments& arguments, const std::string& otherwise) {
  const Option target =
      command
          .add_option("--log", arguments.targets,
                      "Where messages go: stderr, stdout, file:PATH, syslog:local3, syslog+udp://host:514 or "
                      "syslog+tcp://host:514; repeatable" +
                          otherwise)
          .type_name("TARGET")
          .one_at_a_time();
  offer_choices(target,
                {"stderr", "stdout", "file:", "syslog:local0", "syslog:daemon", "syslog+udp://", "syslog+tcp://"});
  const Option level =
      command.add_option("--log-level", arguments.level, "debug, info, warning or error (default: info)")
          .type_name("LEVEL");
  offer_choices(level, {"debug", "info", "warning", "error"});
  const Option format = command
                            .add_option("--log-format", arguments.format,
                                        "How stderr, stdout and files are written: text or json (default: text)")
                            .type_name("FORMAT");
  offer_choices(format, {"text", "json"});
}

}  // namespace weir::cli
