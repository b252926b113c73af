// The commands of the `weir` that scripts/demo builds in a minute (WEIR_SERVE=OFF): what every_command.cpp
// has beside these takes as long again to compile.
#include <fmt/format.h>

#include "cli/command.h"

namespace weir::cli {
namespace {

constexpr std::string_view whole =
    "`cmake --preset release -DWEIR_SERVE=ON && cmake --build build/release` makes the whole of it";

auto refuse(const std::string& what) -> int {
  return complain(fmt::format("{} is not in this small build of Weir, which has tap and demo: {}", what, whole),
                  exit_usage);
}

}  // namespace

void add_commands(Command app, const std::string& program, int& exit_code) {
  add_tap(app, exit_code);
  add_demo(app, program, exit_code);
  for (const char* name : {"check", "serve", "proxy", "fault", "watch", "sessions", "session", "events", "syslog", "ls",
                           "list", "proxies"}) {
    Command missing = app.add_subcommand(name, "Not in this build");
    missing.hide();
    missing.take_all_words();
    missing.callback([name, &exit_code] { exit_code = refuse("weir " + std::string(name)); });
  }
  app.footer(app.text().footer +
             "\nThis is the small build of Weir, without weir serve and the commands that rule it; " +
             std::string(whole) + ".");
}

auto run_as(std::string_view name, const std::vector<std::string>& /*words*/) -> std::optional<int> {
  if (name != "toxiproxy-server" && name != "toxiproxy-cli") return std::nullopt;
  return refuse(std::string(name));
}

}  // namespace weir::cli
