// Command lines in the style of Go's flag package: -x, --x, -x=v, -x v.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace weir::cli {

struct GoFlags {
  std::map<std::string, std::string> values;  // "true" for a switch
  std::vector<std::string> rest;              // from the first word that is no flag

  [[nodiscard]] auto has(const std::string& name) const -> bool { return values.contains(name); }
  [[nodiscard]] auto value(const std::string& name, const std::string& otherwise) const -> std::string;
};

// `with_value` take one, `switches` do not. The error is Go's: "flag provided but not defined: -x".
[[nodiscard]] auto parse_go_flags(const std::vector<std::string>& words, const std::set<std::string>& with_value,
                                  const std::set<std::string>& switches) -> Result<GoFlags>;

// The program under toxiproxy's names; `words` are those after the name.
auto run_toxiproxy_server(const std::vector<std::string>& words) -> int;
auto run_toxiproxy_cli(const std::vector<std::string>& words) -> int;

}  // namespace weir::cli
