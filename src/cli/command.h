// Room cli/, floor 10: main and one file per command: parse, call, print. No logic. Includes every
// room. Start with main.cpp; a command is a function that adds its options to the CLI11 tree and
// sets what runs. --help, the man page and the completion all come from that tree (help_json.h).
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

// What scripts can rely on.
inline constexpr int exit_ok = 0;       // the end of the work, a signal included
inline constexpr int exit_failure = 1;  // it could not do what was asked
inline constexpr int exit_usage = 2;    // it was asked wrongly

// Prints "weir: MESSAGE" on stderr and returns `code`.
auto complain(const std::string& message, int code) -> int;

// All that this build has (every_command.cpp, or tap_and_demo.cpp). `program`: how it was called, for what
// to type next.
void add_commands(CLI::App& app, const std::string& program, int& exit_code);
// Runs the program that goes by `name` if it is another than weir; `words` are those after the name.
[[nodiscard]] auto run_as(std::string_view name, const std::vector<std::string>& words) -> std::optional<int>;

// Each adds its subcommand; when chosen, the result of its run is stored in `exit_code`.
void add_tap(CLI::App& app, int& exit_code);
void add_demo(CLI::App& app, const std::string& program, int& exit_code);
void add_check(CLI::App& app, int& exit_code);
void add_proxy(CLI::App& app, int& exit_code);
void add_fault(CLI::App& app, int& exit_code);
void add_sessions(CLI::App& app, int& exit_code);
void add_events(CLI::App& app, int& exit_code);
void add_watch(CLI::App& app, int& exit_code);
void add_serve(CLI::App& app, int& exit_code);
void add_syslog(CLI::App& app, int& exit_code);
void add_help_json(CLI::App& app, int& exit_code);

// Declares what an option's value may be, for the completion ("choices" of help-json); one that ends
// in '=' is completed further by hand. Parsing is the command's own.
void offer_choices(const CLI::Option* option, std::vector<std::string> choices);
[[nodiscard]] auto offered_choices(const CLI::Option* option) -> std::vector<std::string>;

[[nodiscard]] auto version_text() -> std::string;

}  // namespace weir::cli
