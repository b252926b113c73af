#include "cli/alternate_screen.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string_view>

#include "cli/terminal_width.h"

namespace weir::cli {
namespace {

// The other screen, no cursor (xterm's private modes 1049 and 25, which terminfo calls smcup and civis); and back.
constexpr std::string_view enter_sequence = "\x1b[?1049h\x1b[?25l\x1b[H";
constexpr std::string_view leave_sequence = "\x1b[?25h\x1b[?1049l";

// Async-signal-safe.
void put(std::string_view text) { (void)!::write(STDOUT_FILENO, text.data(), text.size()); }

void on_end(int number) {
  put(leave_sequence);
  if (number == SIGINT || number == SIGTERM) ::_exit(0);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

void on_stop(int number) {
  const int error = errno;
  put(leave_sequence);
  ::signal(number, SIG_DFL);
  ::raise(number);  // here it stands still, until SIGCONT
  struct sigaction again {};
  again.sa_handler = on_stop;
  again.sa_flags = SA_NODEFER | SA_RESTART;
  ::sigaction(number, &again, nullptr);
  put(enter_sequence);
  errno = error;
}

constexpr int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};  // NOLINT(modernize-avoid-c-arrays)

}  // namespace

AlternateScreen::AlternateScreen() {
  std::fflush(stdout);
  struct sigaction action {};
  action.sa_handler = on_end;
  for (const int number : ending_signals) ::sigaction(number, &action, nullptr);
  action.sa_handler = on_stop;
  action.sa_flags = SA_NODEFER | SA_RESTART;
  ::sigaction(SIGTSTP, &action, nullptr);
  put(enter_sequence);
}

void AlternateScreen::leave() {
  if (left_) return;
  left_ = true;
  put(leave_sequence);
  for (const int number : ending_signals) ::signal(number, SIG_DFL);
  ::signal(SIGTSTP, SIG_DFL);
}

void AlternateScreen::show(const std::string& text) {
  // Line by line over what stands there, so that nothing flickers. A line is cleared before it is written: behind one
  // that is as wide as the terminal, its last character would go.
  std::string screen = "\x1b[H\x1b[K";
  for (const char c : fit_rows(text, terminal_size().rows)) screen += c == '\n' ? "\r\n\x1b[K" : std::string(1, c);
  screen += "\x1b[J";
  std::fputs(screen.c_str(), stdout);
  std::fflush(stdout);
}

auto fit_rows(const std::string& text, std::size_t rows) -> std::string {
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  // The last row stays free: a newline there would move the first one out.
  const std::size_t room = std::max<std::size_t>(rows, 3) - 1;
  if (lines <= room) return text;
  std::size_t end = 0;
  for (std::size_t i = 0; i + 1 < room; ++i) end = text.find('\n', end) + 1;
  return text.substr(0, end) + fmt::format("... and {} more lines\n", lines - (room - 1));
}

}  // namespace weir::cli
