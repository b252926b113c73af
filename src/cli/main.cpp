#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

#include "base/result.h"
#include "base/standard_descriptors.h"
#include "cli/command.h"
#include "cli/operator_new.h"
#include "cli/process_one.h"

namespace weir::cli {

auto complain(const std::string& message, int code) -> int {
  std::fprintf(stderr, "weir: %s\n", message.c_str());
  return code;
}

namespace {

auto run(int argc, char** argv) -> int {
  const std::string_view called(argv[0]);
  const auto name = called.substr(called.rfind('/') == std::string_view::npos ? 0 : called.rfind('/') + 1);
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  if (const auto code = run_as(name, words)) return *code;
  CommandLine line("See, time and break one raw TCP stream in one place.", "weir", version_text());
  Command app = line.root();
  app.require_subcommand();
  app.footer(
      "Examples:\n"
      "  weir demo                              the 40 ms story in ten seconds\n"
      "  weir tap 8888 localhost:5432           then point the application at 8888\n"
      "  weir tap --show json -o log db:5432    one JSON object per event\n"
      "  weir help tap                          what a command does, and its options\n"
      "Exit codes: 0 done (a signal included), 1 it could not be done, 2 wrong usage.");
  int exit_code = exit_ok;
  add_commands(app, argv[0], exit_code);
  add_help(app, exit_code);
  if (const auto ended = line.parse(argc, argv)) return ended->well ? exit_ok : complain(ended->message, exit_usage);
  return exit_code;
}

}  // namespace
}  // namespace weir::cli

auto main(int argc, char** argv) -> int {
  weir::cli::prepare_as_process_one();
  weir::open_standard_descriptors();
  std::signal(SIGXFSZ, SIG_IGN);  // a file at its limit is an error of write(2), not our end
  if (std::getenv("WEIR_NO_SPARE_MEMORY") != nullptr) weir::cli::use_no_spare_memory();
  int code = weir::cli::exit_failure;
  try {
    code = weir::cli::run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("weir: there is not enough memory to go on: raise the limit (ulimit -v, the container's)\n", stderr);
    return weir::cli::exit_failure;
  } catch (const std::exception& error) {
    return weir::cli::complain(error.what(), weir::cli::exit_failure);
  }
  // What was printed may only now meet a full disk.
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) != 0) && code == weir::cli::exit_ok) {
    return weir::cli::complain(fmt::format("stdout: {}", weir::errno_text(errno)), weir::cli::exit_failure);
  }
  return code;
}
