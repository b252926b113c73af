#include <cstdio>
#include <exception>

#include "cli/command.h"
#include "cli/go_flags.h"

namespace weir::cli {

auto complain(const std::string& message, int code) -> int {
  std::fprintf(stderr, "weir: %s\n", message.c_str());
  return code;
}

namespace {

// "tap, demo and syslog"
auto command_names(const CLI::App& app) -> std::string {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); })) {
    names.push_back(command->get_name());
  }
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  }
  return text;
}

// CLI11 reports what is wrong as an exception; one sentence and the way out is what users get.
auto usage_error(const CLI::App& app, const CLI::ParseError& error) -> int {
  const CLI::App* at = &app;
  for (const CLI::App* sub : app.get_subcommands()) at = sub;
  const std::string help = at == &app ? "weir --help" : "weir " + at->get_name() + " --help";
  std::string what = error.what();
  if (what == "A subcommand is required") {
    const auto unknown = app.remaining();
    what = unknown.empty() ? "no command given: try \"weir tap 8888 localhost:5432\" or \"weir demo\""
                           : "there is no command \"" + unknown.front() + "\"; the commands are " + command_names(app);
  }
  while (!what.empty() && what.back() == '.') what.pop_back();
  return complain(what + " (see " + help + ")", exit_usage);
}

auto run(int argc, char** argv) -> int {
  const std::string_view called(argv[0]);
  const auto name = called.substr(called.rfind('/') == std::string_view::npos ? 0 : called.rfind('/') + 1);
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (name == "toxiproxy-server") return run_toxiproxy_server(words);
  if (name == "toxiproxy-cli") return run_toxiproxy_cli(words);
  CLI::App app("See, time and break one raw TCP stream in one place.", "weir");
  app.set_version_flag("-V,--version", version_text());
  app.set_help_flag("-h,--help", "Print this help");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n"
      "  weir demo                              the 40 ms story in ten seconds, nothing else needed\n"
      "  weir tap 8888 localhost:5432           then point the application at port 8888\n"
      "  weir tap --show json -o log 0 db:5432  one JSON object per event; the kernel picks the port\n"
      "Exit codes: 0 done (a signal included), 1 it could not be done, 2 wrong usage.");
  int exit_code = exit_ok;
  add_tap(app, exit_code);
  add_demo(app, argv[0], exit_code);
  add_check(app, exit_code);
  add_serve(app, exit_code);
  add_proxy(app, exit_code);
  add_fault(app, exit_code);
  add_sessions(app, exit_code);
  add_events(app, exit_code);
  add_syslog(app, exit_code);
  add_help_json(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    return usage_error(app, error);
  }
  return exit_code;
}

}  // namespace
}  // namespace weir::cli

auto main(int argc, char** argv) -> int {
  try {
    return weir::cli::run(argc, argv);
  } catch (const std::exception& error) {
    return weir::cli::complain(error.what(), weir::cli::exit_failure);
  }
}
