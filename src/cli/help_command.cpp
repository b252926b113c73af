// `weir help COMMAND ...`, as many type it before they know of --help.
#include <algorithm>
#include <cstdio>

#include "base/nearest.h"
#include "base/result.h"
#include "cli/command.h"
#include "cli/help_text.h"

namespace weir::cli {
namespace {

auto run_help(const CommandText& root, const std::vector<std::string>& words) -> int {
  const CommandText* at = &root;
  std::string path = "weir";
  for (const std::string& word : words) {
    const auto is_called = [&](const CommandText& each) {
      return each.name == word || std::ranges::find(each.aliases, word) != each.aliases.end();
    };
    const auto found = std::ranges::find_if(at->commands, is_called);
    if (found == at->commands.end()) {
      if (const std::string why = at == &root ? why_missing(word) : ""; !why.empty()) return complain(why, exit_usage);
      std::vector<std::string_view> names;
      for (const CommandText& each : at->commands) names.push_back(each.name);
      const auto near = nearest(word, names);
      return complain(fmt::format("there is no command \"{}\"{} (see {} --help)", word,
                                  near ? fmt::format("; did you mean \"{}\"?", *near) : "", path),
                      exit_usage);
    }
    at = &*found;
    path += " " + at->name;
  }
  std::fputs(help_text(*at, path, help_width()).c_str(), stdout);
  return exit_ok;
}

}  // namespace

void add_help(Command app, int& exit_code) {
  auto words = std::make_shared<std::vector<std::string>>();
  Command help = app.add_subcommand("help", "Say what a command does, and its options");
  help.add_option("COMMAND", *words, "The command, with the command of it that is meant").expected(-1);
  help.callback([app, words, &exit_code] { exit_code = run_help(app.text(), *words); });
}

}  // namespace weir::cli
