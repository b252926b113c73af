#include "cli/usage_error.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/nearest.h"
#include "base/result.h"

namespace weir::cli {
namespace {

auto shown_commands(const CLI::App& app) -> std::vector<std::string> {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); })) {
    names.push_back(command->get_name());
  }
  return names;
}

// "tap, demo and syslog"
auto list_of(const std::vector<std::string>& names) -> std::string {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  }
  return text;
}

auto nearest_of(const std::string& word, const std::vector<std::string>& known) -> std::optional<std::string> {
  const auto near = nearest(word, {known.begin(), known.end()});
  return near ? std::optional<std::string>(*near) : std::nullopt;
}

// What others call our commands.
auto other_name(const std::string& path, const std::string& word) -> std::string {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 13> others{{{"start", "serve"},
                                                                                  {"run", "serve"},
                                                                                  {"server", "serve"},
                                                                                  {"daemon", "serve"},
                                                                                  {"connections", "sessions"},
                                                                                  {"dump", "tap"},
                                                                                  {"sniff", "tap"},
                                                                                  {"listen", "tap"},
                                                                                  {"forward", "tap"},
                                                                                  {"toxic", "fault"},
                                                                                  {"logs", "events"},
                                                                                  {"version", "--version"},
                                                                                  {"validate", "check"}}};
  const auto* found = std::ranges::find(others, word, &std::pair<std::string_view, std::string_view>::first);
  return path.empty() && found != others.end() ? std::string(found->second) : "";
}

auto unknown_command(const CLI::App& at, const std::string& path, const std::string& word) -> std::string {
  auto names = shown_commands(at);
  const std::string other = other_name(path, word);
  const bool is_there = other.starts_with("-") || std::ranges::find(names, other) != names.end();
  const auto near = !other.empty() && is_there ? std::optional(other) : nearest_of(word, names);
  return fmt::format("there is no command \"{}{}\"; {}", path, word,
                     near ? fmt::format("did you mean \"{}\"?", *near) : "the commands are " + list_of(names));
}

auto unknown_option(const CLI::App& at, const std::string& word) -> std::string {
  const std::string name = word.substr(0, word.find('='));
  std::vector<std::string> names;
  for (const CLI::Option* option : at.get_options()) {
    for (const auto& each : option->get_lnames()) names.push_back("--" + each);
  }
  const auto near = nearest_of(name, names);
  return fmt::format("there is no option {}{}", name, near ? fmt::format("; did you mean {}?", *near) : "");
}

// What is left over when all that is known has been taken. An option that is none comes first: its
// value, taken for an argument, is what pushed the others out.
auto left_over(const CLI::App& at, const std::vector<std::string>& words) -> std::string {
  const auto option = std::ranges::find_if(words, [](const std::string& each) { return each.starts_with("-"); });
  if (option != words.end()) return unknown_option(at, *option);
  return fmt::format("there is nothing to do with \"{}\", which is one argument too many", words.front());
}

}  // namespace

auto usage_error(const CLI::App& app, const CLI::ParseError& error) -> std::string {
  const CLI::App* at = &app;
  std::string path;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().back();
    path += at->get_name() + " ";
  }
  const auto words = app.remaining(true);
  const bool has_option =
      std::ranges::any_of(words, [](const std::string& each) { return each.starts_with("-") && each != "-"; });
  std::string what = error.what();
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && what == "A subcommand is required") {
    const auto command = std::ranges::find_if(words, [](const std::string& each) { return !each.starts_with("-"); });
    if (command != words.end()) {
      what = unknown_command(*at, path, *command);
    } else if (!words.empty()) {
      what = unknown_option(*at, words.front());
    } else if (at == &app) {
      what = "no command given: try \"weir tap 8888 localhost:5432\" or \"weir demo\"";
    } else {
      what = fmt::format("{}needs a command: {}", path, list_of(shown_commands(*at)));
    }
  } else if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && at != &app && has_option) {
    what = left_over(*at, words);  // what is required may be what it was mistyped for
  } else if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr && !words.empty()) {
    // What stands before a command that is known was to be one: `weir prxoy list`, where `weir list` is one.
    const auto before = app.remaining(false);
    const bool mistyped = at != &app && !before.empty() && !before.front().starts_with("-");
    if (mistyped) path.clear();
    what = mistyped ? unknown_command(app, path, before.front()) : left_over(*at, words);
  }
  while (!what.empty() && what.back() == '.') what.pop_back();
  return fmt::format("{} (see weir {}--help)", what, path);
}

}  // namespace weir::cli
