#include "control/rules_json.h"

#include <algorithm>

#include "base/duration.h"

namespace weir::control {
namespace {

using proxy::SettingInfo;
using proxy::SettingKind;
using proxy::Written;

auto to_written(const Json& value) -> std::optional<Written> {
  if (value.is_null()) return Written{};
  if (value.is_string()) return Written{value.get<std::string>()};
  if (value.is_boolean()) return Written{value.get<bool>()};
  if (value.is_number_float()) return Written{value.get<double>()};
  if (!value.is_number_integer()) return std::nullopt;
  if (const auto whole = integer_of(value)) return Written{*whole};
  return Written{value.dump()};
}

auto to_json(const Written& value) -> Json {
  if (std::holds_alternative<std::monostate>(value)) return {};
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return *whole;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return std::get<std::string>(value);
}

auto read_one(const SettingInfo& setting, const Json& value, const std::string& at, proxy::ProxyRules& rules)
    -> std::optional<FieldError> {
  const auto written = to_written(value);
  if (!written) return FieldError{at, fmt::format("write {}", proxy::describe_values(setting))};
  const auto done = proxy::set(setting, rules, *written);
  return done ? std::nullopt : std::optional(FieldError{at, done.error().message});
}

auto names_in_group(std::string_view group) -> std::vector<std::string_view> {
  std::vector<std::string_view> names;
  for (const SettingInfo& each : proxy::setting_catalog()) {
    if (each.group() == group) names.push_back(each.name_in_group());
  }
  return names;
}

auto read_group(std::string_view group, const Json& object, const std::string& path, proxy::ProxyRules& rules)
    -> std::optional<FieldError> {
  if (!object.is_object()) return FieldError{path, "write an object of names and values"};
  for (const auto& [key, value] : object.items()) {
    const std::string at = fmt::format("{}.{}", path, key);
    const auto* setting = proxy::find_setting(fmt::format("{}.{}", group, key));
    if (setting == nullptr && event::find_timeout(key) != nullptr) {
      return FieldError{at, fmt::format("{} is of the whole process: write it in [timeouts] of the configuration file, "
                                        "or weir serve --drain",
                                        key)};
    }
    if (setting == nullptr) return FieldError{at, unknown_key(key, names_in_group(group))};
    if (auto wrong = read_one(*setting, value, at, rules)) return wrong;
  }
  return std::nullopt;
}

// Where in an object the setting stands.
auto slot(Json& object, const SettingInfo& setting) -> Json& {
  if (setting.group().empty()) return object[std::string(setting.name)];
  return object[std::string(setting.group())][std::string(setting.name_in_group())];
}

auto schema_of(const SettingInfo& setting, bool answered) -> Json {
  const Json text{{"type", "string"}};
  Json schema = text;
  switch (setting.kind) {
    case SettingKind::listen:
    case SettingKind::upstream:
    case SettingKind::duration: break;
    case SettingKind::flag: schema = {{"type", "boolean"}}; break;
    case SettingKind::word:
      schema["enum"] = Json::array();
      for (const auto word : setting.words) schema["enum"].push_back(word);
      break;
    case SettingKind::name: schema["pattern"] = fmt::format("^[a-z0-9_-]{{1,{}}}$", setting.most); break;
    case SettingKind::count:
      schema = {{"type", "integer"}, {"minimum", setting.least}, {"maximum", setting.most}};
      if (setting.may_be_off && !answered)
        schema = {{"oneOf", {std::move(schema), {{"type", "string"}, {"enum", {"off"}}}}}};
      if (setting.may_be_off) schema["nullable"] = true;
      break;
    case SettingKind::size:
      if (!answered) schema = {{"oneOf", {text, {{"type", "integer"}, {"minimum", 0}}}}};
      break;
  }
  schema["description"] =
      fmt::format("{}: {}. A change takes effect in {}.", setting.doc, proxy::describe_values(setting),
                  setting.takes_effect == proxy::TakesEffect::reopening ? "the listener, which closes its sessions"
                                                                        : proxy::to_string(setting.takes_effect));
  return schema;
}

}  // namespace

auto setting_keys() -> const std::vector<std::string_view>& {
  static const std::vector<std::string_view> keys = [] {
    std::vector<std::string_view> all;
    for (const SettingInfo& each : proxy::setting_catalog()) {
      const auto key = each.group().empty() ? each.name : each.group();
      if (std::ranges::find(all, key) == all.end()) all.push_back(key);
    }
    return all;
  }();
  return keys;
}

auto read_rules(const Json& object, const std::string& path, proxy::ProxyRules& rules) -> std::optional<FieldError> {
  const std::string prefix = path.empty() ? "" : path + ".";
  for (const auto& [key, value] : object.items()) {
    std::optional<FieldError> wrong;
    if (const auto* setting = proxy::find_setting(key)) {
      wrong = read_one(*setting, value, prefix + key, rules);
    } else if (!names_in_group(key).empty()) {
      wrong = read_group(key, value, prefix + key, rules);
    }
    if (wrong) return wrong;
  }
  if (const auto problem = proxy::check(rules)) {
    return FieldError{prefix + std::string(problem->setting), problem->message};
  }
  return std::nullopt;
}

auto read_timeouts(const Json& object, const std::string& path, proxy::Timeouts& timeouts)
    -> std::optional<FieldError> {
  for (const auto& [key, value] : object.items()) {
    const std::string at = fmt::format("{}.{}", path, key);
    const auto* info = event::find_timeout(key);
    if (info == nullptr) {
      std::vector<std::string_view> names;
      for (const auto& each : event::timeout_catalog()) names.push_back(each.text);
      return FieldError{at, unknown_key(key, names)};
    }
    const auto written = to_written(value);
    if (!written) return FieldError{at, "write a duration such as \"10m\""};
    const auto duration = proxy::read_timeout(*info, *written);
    if (!duration) return FieldError{at, duration.error().message};
    timeouts.set(info->name, *duration);
  }
  return std::nullopt;
}

auto rules_json(const proxy::ProxyRules& rules) -> Json {
  Json out = Json::object();
  for (const SettingInfo& each : proxy::setting_catalog()) slot(out, each) = to_json(proxy::get(each, rules));
  return out;
}

auto timeouts_json(const proxy::Timeouts& timeouts) -> Json {
  Json out = Json::object();
  for (const auto& info : event::timeout_catalog()) {
    const auto value = timeouts[info.name];
    out[std::string(info.text)] = value ? canonical_duration(*value) : "off";
  }
  return out;
}

auto settings_catalog_json() -> Json {
  const proxy::ProxyRules defaults;
  Json all = Json::array();
  for (const SettingInfo& each : proxy::setting_catalog()) {
    all.push_back({{"name", each.name},
                   {"kind", proxy::to_string(each.kind)},
                   {"values", proxy::describe_values(each)},
                   {"words", each.words},
                   {"default", each.required ? Json() : Json(proxy::format(each, defaults))},
                   {"required", each.required},
                   {"may_be_off", each.may_be_off},
                   {"takes_effect", proxy::to_string(each.takes_effect)},
                   {"doc", each.doc}});
  }
  return all;
}

auto settings_schema(bool answered) -> Json {
  Json properties = Json::object();
  for (const SettingInfo& each : proxy::setting_catalog()) {
    if (each.group().empty()) {
      properties[std::string(each.name)] = schema_of(each, answered);
      continue;
    }
    Json& group = properties[std::string(each.group())];
    if (group.is_null()) group = {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
    group["properties"][std::string(each.name_in_group())] = schema_of(each, answered);
  }
  return properties;
}

auto required_settings() -> std::vector<std::string> {
  std::vector<std::string> names;
  for (const SettingInfo& each : proxy::setting_catalog()) {
    if (each.required) names.emplace_back(each.name);
  }
  return names;
}

}  // namespace weir::control
