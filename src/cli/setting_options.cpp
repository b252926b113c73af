#include "cli/setting_options.h"

#include <algorithm>

#include "base/duration.h"
#include "base/nearest.h"
#include "net/descriptors.h"

namespace weir::cli {
namespace {

using proxy::SettingInfo;
using proxy::SettingKind;

auto is_option(const SettingInfo& setting) -> bool {
  switch (setting.kind) {
    case SettingKind::listen:
    case SettingKind::upstream:  // LISTEN and UPSTREAM
    case SettingKind::flag:      // "enabled", "diagnose": of many proxies, one by one
    case SettingKind::duration: return false;
    case SettingKind::word:
    case SettingKind::name:
    case SettingKind::count:
    case SettingKind::size: break;
  }
  return setting.group().empty();
}

auto option_name(const SettingInfo& setting) -> std::string {
  std::string name = "--" + std::string(setting.name);
  std::ranges::replace(name, '_', '-');
  return name;
}

auto type_name(SettingKind kind) -> std::string {
  switch (kind) {
    case SettingKind::count: return "N";
    case SettingKind::size: return "BYTES";
    case SettingKind::name: return "NAME";
    default: return "WORD";
  }
}

auto set_timeout(const std::string& text, proxy::Timeouts& timeouts) -> Result<void> {
  const auto equals = text.find('=');
  if (equals == std::string::npos) {
    return failure(fmt::format("--timeout {}: write NAME=DURATION, such as idle=10m or idle.client=off", text));
  }
  const std::string name = text.substr(0, equals);
  const auto* info = event::find_timeout(name);
  if (info == nullptr) {
    std::string names;
    std::vector<std::string_view> known;
    for (const auto& each : event::timeout_catalog()) {
      names += (names.empty() ? "" : ", ") + std::string(each.text);
      known.push_back(each.text);
    }
    if (const auto near = nearest(name, known)) {
      return failure(fmt::format("--timeout {}: there is no timeout \"{}\"; did you mean {}?", text, name, *near));
    }
    return failure(fmt::format("--timeout {}: there is no timeout \"{}\"; the names are {}", text, name, names));
  }
  const auto value = proxy::read_timeout(*info, text.substr(equals + 1));
  if (!value) return failure(fmt::format("--timeout {}: {}", name, value.error().message));
  timeouts.set(info->name, *value);
  return {};
}

}  // namespace

void SettingOptions::add_to(Command command) {
  const Option timeout = command.add_option("-t,--timeout", timeouts_, "Set a timeout, see below; repeatable")
                             .type_name("NAME=DURATION")
                             .one_at_a_time();
  std::vector<std::string> names;
  for (const auto& info : event::timeout_catalog()) names.push_back(std::string(info.text) + "=");
  offer_choices(timeout, std::move(names));
  for (const SettingInfo& setting : proxy::setting_catalog()) {
    if (!is_option(setting)) continue;
    const Option option = command.add_option(option_name(setting), values_[&setting], std::string(setting.doc))
                              .type_name(type_name(setting.kind))
                              .default_str(proxy::format(setting, {}));
    if (!setting.words.empty()) offer_choices(option, {setting.words.begin(), setting.words.end()});
  }
}

auto SettingOptions::apply(proxy::ProxyRules& rules) const -> Result<void> {
  for (const std::string& text : timeouts_) {
    if (auto done = set_timeout(text, rules.timeouts); !done) return done;
  }
  for (const auto& [setting, value] : values_) {
    if (value.empty()) continue;
    if (auto done = proxy::set(*setting, rules, proxy::written(*setting, value)); !done) {
      return failure(fmt::format("{} {}: {}", option_name(*setting), value, done.error().message));
    }
  }
  if (const auto problem = proxy::check(rules)) {
    const SettingInfo& setting = *proxy::find_setting(problem->setting);
    const std::string option =
        setting.group().empty() ? option_name(setting) : fmt::format("--timeout {}", setting.name_in_group());
    return failure(fmt::format("{}: {}", option, problem->message));
  }
  return {};
}

auto SettingOptions::first_given() const -> std::string {
  if (!timeouts_.empty()) return "--timeout";
  const auto found = std::ranges::find_if(values_, [](const auto& value) { return !value.second.empty(); });
  return found == values_.end() ? "" : option_name(*found->first);
}

auto SettingOptions::given(std::string_view setting) const -> bool {
  const auto found = values_.find(proxy::find_setting(setting));
  return found != values_.end() && !found->second.empty();
}

auto timeouts_help() -> std::string {
  std::string text = "Timeouts (--timeout NAME=DURATION; DURATION is 250ms, 1.5s, 10m or off):\n";
  for (const auto& info : event::timeout_catalog()) {
    const std::string value = info.default_value ? canonical_duration(*info.default_value) : "off";
    text += fmt::format("  {:<24}  {:<6}  {}\n", info.text, value, info.meaning);
  }
  return text;
}

auto settings_help() -> std::string {
  const proxy::ProxyRules defaults;
  std::string text =
      "Only another listen and enabled=false end sessions. Open sessions take over at once what is marked * here; "
      "the rest is for sessions that are accepted from then on.\n\n"
      "Settings, with their defaults:\n";
  for (const SettingInfo& each : proxy::setting_catalog()) {
    const bool open = each.takes_effect == proxy::TakesEffect::open_sessions;
    const std::string value = each.required ? "-" : proxy::format(each, defaults);
    text += fmt::format("  {:<32}  {:<12}  {}\n", std::string(each.name) + (open ? "*" : ""), value, each.doc);
  }
  return text;
}

auto fit_descriptors(proxy::ProxyRules& rules) -> Result<void> {
  constexpr std::uint64_t reserve = 64;
  const std::uint64_t limit = net::raise_descriptor_limit();
  const std::uint64_t most = limit > reserve + 2 ? (limit - reserve) / 2 : 1;
  if (!rules.max_sessions) {
    rules.max_sessions = most;
  } else if (*rules.max_sessions > most) {
    return failure(
        fmt::format("--max-sessions {} needs {} file descriptors and the limit is {}: raise it (ulimit -n) or "
                    "ask for at most {}",
                    *rules.max_sessions, 2 * *rules.max_sessions + reserve, limit, most));
  }
  return {};
}

}  // namespace weir::cli
