// The commands of the `weir` that scripts/demo builds in a minute (WEIR_SERVE=OFF): what every_command.cpp
// has beside these takes as long again to compile.
#include "cli/command.h"

namespace weir::cli {

void add_commands(Command app, const std::string& program, int& exit_code) {
  add_tap(app, exit_code);
  add_demo(app, program, exit_code);
  app.footer(app.text().footer +
             "\nThis is the small build of scripts/demo; `cmake --preset release && cmake --build build/release` makes "
             "the\nwhole of Weir, with weir serve.");
}

auto run_as(std::string_view /*name*/, const std::vector<std::string>& /*words*/) -> std::optional<int> {
  return std::nullopt;
}

}  // namespace weir::cli
