// The commands of `weir` as it is installed. tap_and_demo.cpp stands in for this file in the build that
// scripts/demo makes (WEIR_SERVE=OFF).
#include "cli/command.h"
#include "cli/go_flags.h"

namespace weir::cli {

void add_commands(Command app, const std::string& program, int& exit_code) {
  add_tap(app, exit_code);
  add_why(app, exit_code);
  add_demo(app, program, exit_code);
  add_check(app, exit_code);
  add_serve(app, exit_code);
  add_proxy(app, exit_code);
  add_fault(app, exit_code);
  add_watch(app, exit_code);
  add_sessions(app, exit_code);
  add_session(app, exit_code);
  add_ps(app, exit_code);
  add_report(app, exit_code);
  add_events(app, exit_code);
  add_syslog(app, exit_code);
  add_help_json(app, exit_code);
}

auto why_missing(const std::string& /*command*/) -> std::string { return ""; }

auto run_as(std::string_view name, const std::vector<std::string>& words) -> std::optional<int> {
  if (name == "toxiproxy-server") return run_toxiproxy_server(words);
  if (name == "toxiproxy-cli") return run_toxiproxy_cli(words);
  return std::nullopt;
}

}  // namespace weir::cli
