#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/command.h"
#include "proxy/setting_catalog.h"

namespace weir::cli {

// The settings of a proxy as options: one for each row of the catalog that stands in no group (--max-sessions N),
// but for the addresses, which are words of their own, and --timeout NAME=DURATION for the rest.
class SettingOptions {
 public:
  // Lives as long as the command.
  void add_to(Command command);
  // Sets what was given. The error begins with the option.
  [[nodiscard]] auto apply(proxy::ProxyRules& rules) const -> Result<void>;
  [[nodiscard]] auto given(std::string_view setting) const -> bool;
  // The first option that was given, such as "--timeout"; empty: none was.
  [[nodiscard]] auto first_given() const -> std::string;

 private:
  std::vector<std::string> timeouts_;
  std::map<const proxy::SettingInfo*, std::string> values_;  // an empty one was not given
};

// Raises the descriptor limit. Two descriptors a session; pipes and our own come from a reserve: `max_sessions` becomes
// as many as fit, unless more was asked for, which is an Error that names the way out.
[[nodiscard]] auto fit_descriptors(proxy::ProxyRules& rules) -> Result<void>;

// The part of a command's help that lists the timeouts, or all settings.
[[nodiscard]] auto timeouts_help() -> std::string;
[[nodiscard]] auto settings_help() -> std::string;

}  // namespace weir::cli
