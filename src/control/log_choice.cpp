#include "control/log_choice.h"

namespace weir::control {

auto read_log(const Json& object) -> Read<LogChoice> {
  StrictFields fields(object, "log", {"level", "format", "targets"});
  LogChoice choice;
  if (const auto level = fields.text("level")) {
    choice.level = parse_log_level(*level);
    if (!choice.level) fields.wrong("level", fmt::format("write debug, info, warning or error, not \"{}\"", *level));
  }
  if (const auto text = fields.text("format")) {
    const auto format = syslog::parse_line_format(*text);
    if (!format) fields.wrong("format", format.error().message);
    if (format) choice.format = *format;
  }
  const Json* targets = fields.list("targets");
  if (fields.error()) return tl::make_unexpected(*fields.error());
  if (targets == nullptr) return choice;
  std::vector<std::string> texts;
  for (const Json& each : *targets) {
    if (!each.is_string()) fields.wrong("targets", "write texts, such as [\"stderr\", \"syslog:local3\"]");
    if (each.is_string()) texts.push_back(each.get<std::string>());
  }
  auto parsed = syslog::LogSettings::parse_targets(texts);
  if (!parsed) fields.wrong("targets", parsed.error().message);
  if (fields.error()) return tl::make_unexpected(*fields.error());
  choice.targets = *std::move(parsed);
  return choice;
}

auto log_json(const syslog::LogSettings& settings) -> Json {
  Json targets = Json::array();
  for (const auto& target : settings.targets) targets.push_back(target.text);
  return {{"level", to_string(settings.level)},
          {"format", syslog::to_string(settings.format)},
          {"targets", std::move(targets)}};
}

auto log_status_json(const syslog::TargetLog& log) -> Json {
  Json out = log_json(log.settings());
  Json targets = Json::array();
  for (const auto& status : log.status()) {
    targets.push_back({{"target", status.target},
                       {"up", status.up},
                       {"sent", status.sent},
                       {"dropped", status.dropped},
                       {"waiting", status.waiting},
                       {"trouble", status.trouble.empty() ? Json() : Json(status.trouble)}});
  }
  out["targets"] = std::move(targets);
  return out;
}

}  // namespace weir::control
