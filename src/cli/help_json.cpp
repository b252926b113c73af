#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/command.h"
#include "diagnose/cause.h"
#include "fault/catalog.h"
#include "proxy/setting_catalog.h"

namespace weir::cli {
namespace {

using nlohmann::ordered_json;

auto describe_option(const OptionText& option) -> ordered_json {
  return {{"names", option.names},          {"type_name", option.type_name},
          {"default", option.default_text}, {"description", option.description},
          {"choices", option.choices},      {"positional", option.positional},
          {"required", option.required},    {"repeatable", option.repeatable}};
}

auto describe_command(const CommandText& command) -> ordered_json {
  ordered_json options = ordered_json::array();
  for (const OptionText& option : command.options) options.push_back(describe_option(option));
  ordered_json commands = ordered_json::array();
  for (const CommandText& each : command.commands) commands.push_back(describe_command(each));
  return {{"name", command.name},
          {"description", command.description},
          {"footer", command.footer},
          {"options", options},
          {"commands", commands}};
}

auto describe_attribute(const fault::AttributeInfo& attribute) -> ordered_json {
  const std::string value = attribute.optional ? "" : fault::format_value(attribute, attribute.default_value);
  return {{"name", attribute.name},
          {"values", fault::describe_values(attribute)},
          {"default", value},
          {"doc", attribute.doc},
          {"classic", attribute.classic_unit != 0}};
}

// The catalog, from which docs/faults.md is made.
auto describe_faults() -> ordered_json {
  ordered_json faults = ordered_json::array();
  for (const auto* info : fault::catalog()) {
    ordered_json attributes = ordered_json::array();
    for (const auto& attribute : info->attributes) attributes.push_back(describe_attribute(attribute));
    faults.push_back({{"type", info->type},
                      {"doc", info->doc},
                      {"details", info->details},
                      {"differs", info->differs},
                      {"classic", info->classic},
                      {"stream", info->phase == fault::FaultPhase::stream},
                      {"direction", fault::to_string(info->default_direction)},
                      {"attributes", attributes}});
  }
  return faults;
}

// The catalog of settings, from which docs/settings.md is made.
auto describe_settings() -> ordered_json {
  ordered_json settings = ordered_json::array();
  for (const auto& setting : proxy::setting_catalog()) {
    settings.push_back({{"name", setting.name},
                        {"values", proxy::describe_values(setting)},
                        {"default", setting.required ? "" : proxy::format(setting, {})},
                        {"takes_effect", proxy::to_string(setting.takes_effect)},
                        {"doc", setting.doc}});
  }
  return settings;
}

// The causes of lost time, from which docs/causes.md is made.
auto describe_causes() -> ordered_json {
  ordered_json causes = ordered_json::array();
  for (const auto* cause : diagnose::causes()) {
    causes.push_back(
        {{"name", cause->name}, {"doc", cause->doc}, {"signals", cause->signals}, {"look_alikes", cause->look_alikes}});
  }
  return causes;
}

}  // namespace

// Hidden: the command tree and the catalogs as JSON, from which scripts/generate-docs makes the man page, the
// completion, docs/faults.md, docs/settings.md and docs/causes.md.
void add_help_json(Command app, int& exit_code) {
  Command help = app.add_subcommand("help-json", "Print the command tree as JSON");
  help.hide();
  help.callback([app, &exit_code] {
    ordered_json tree = describe_command(app.text());
    tree["version"] = version_text();
    tree["faults"] = describe_faults();
    tree["settings"] = describe_settings();
    tree["causes"] = describe_causes();
    std::puts(tree.dump(2).c_str());
    exit_code = exit_ok;
  });
}

}  // namespace weir::cli
