// The commands of the `weir` that scripts/demo builds in a minute (WEIR_SERVE=OFF): what every_command.cpp
// has beside these takes as long again to compile.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cli/command.h"

namespace weir::cli {
namespace {

constexpr std::string_view whole =
    "`cmake --preset release -DWEIR_SERVE=ON && cmake --build build/release` makes the whole of it";

constexpr const char* missing_commands[] = {"check",   "serve",  "proxy",  "fault", "watch", "sessions",  // NOLINT
                                            "session", "events", "syslog", "why",   "ps",    "report",
                                            "ls",      "list",   "proxies"};

auto refusal(const std::string& what) -> std::string {
  return fmt::format("{} is not in this small build of Weir, which has tap and demo: {}", what, whole);
}

}  // namespace

void add_commands(Command app, const std::string& program, int& exit_code) {
  add_tap(app, exit_code);
  add_demo(app, program, exit_code);
  for (const char* name : missing_commands) {
    Command missing = app.add_subcommand(name, refusal("weir " + std::string(name)));
    missing.hide();
    missing.take_all_words();
    missing.callback([name, &exit_code] { exit_code = complain(why_missing(name), exit_usage); });
  }
  app.footer(app.text().footer +
             "\nThis is the small build of Weir, without weir serve and the commands that rule it; " +
             std::string(whole) + ".");
}

auto why_missing(const std::string& command) -> std::string {
  return std::ranges::find(missing_commands, command) == std::end(missing_commands) ? "" : refusal("weir " + command);
}

auto run_as(std::string_view name, const std::vector<std::string>& /*words*/) -> std::optional<int> {
  if (name != "toxiproxy-server" && name != "toxiproxy-cli") return std::nullopt;
  return complain(refusal(std::string(name)), exit_usage);
}

}  // namespace weir::cli
