// Room cli/, floor 10: main and one file per command: parse, call, print. No logic. Includes every
// room. Start with main.cpp; a command is a function that adds its options to the tree of command_line.h and
// sets what runs. --help, the man page and the completion all come from that tree (help_json.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command_line.h"

namespace weir::cli {

// What scripts can rely on.
inline constexpr int exit_ok = 0;       // the end of the work, a signal included
inline constexpr int exit_failure = 1;  // it could not do what was asked
inline constexpr int exit_usage = 2;    // it was asked wrongly

// Prints "weir: MESSAGE" on stderr and returns `code`.
auto complain(const std::string& message, int code) -> int;

// All that this build has (every_command.cpp, or tap_and_demo.cpp). `program`: how it was called, for what
// to type next.
void add_commands(Command app, const std::string& program, int& exit_code);
// Why this build does not have a command of Weir; empty: nothing is known of it.
[[nodiscard]] auto why_missing(const std::string& command) -> std::string;
// Runs the program that goes by `name` if it is another than weir; `words` are those after the name.
[[nodiscard]] auto run_as(std::string_view name, const std::vector<std::string>& words) -> std::optional<int>;

// Each adds its subcommand; when chosen, the result of its run is stored in `exit_code`.
void add_tap(Command app, int& exit_code);
void add_demo(Command app, const std::string& program, int& exit_code);
void add_check(Command app, int& exit_code);
void add_proxy(Command app, int& exit_code);
void add_fault(Command app, int& exit_code);
void add_sessions(Command app, int& exit_code);
void add_session(Command app, int& exit_code);
void add_events(Command app, int& exit_code);
void add_watch(Command app, int& exit_code);
void add_ps(Command app, int& exit_code);
void add_report(Command app, int& exit_code);
void add_why(Command app, int& exit_code);
void add_serve(Command app, int& exit_code);
void add_syslog(Command app, int& exit_code);
void add_help(Command app, int& exit_code);
void add_help_json(Command app, int& exit_code);

[[nodiscard]] auto version_text() -> std::string;

}  // namespace weir::cli
