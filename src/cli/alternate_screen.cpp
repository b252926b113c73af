#include "cli/alternate_screen.h"

#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string_view>

namespace weir::cli {
namespace {

// The other screen, no cursor (xterm's private modes 1049 and 25, which terminfo calls smcup and civis); and back.
constexpr std::string_view enter_sequence = "\x1b[?1049h\x1b[?25l\x1b[H";
constexpr std::string_view leave_sequence = "\x1b[?25h\x1b[?1049l";

// Async-signal-safe.
void put(std::string_view text) { (void)!::write(STDOUT_FILENO, text.data(), text.size()); }

// stdin's modes before and while keys are read. Written before the handlers are set.
bool has_keys = false;
termios cooked{};
termios raw{};

// Async-signal-safe. In the background the terminal is another's: its modes were restored when this was stopped.
void set_modes(const termios& modes) {
  const pid_t foreground = ::tcgetpgrp(STDIN_FILENO);  // -1: it is no controlling terminal, and stops nobody
  if (has_keys && (foreground < 0 || foreground == ::getpgrp())) ::tcsetattr(STDIN_FILENO, TCSANOW, &modes);
}

void on_end(int number) {
  put(leave_sequence);
  set_modes(cooked);
  if (number == SIGINT || number == SIGTERM) ::_exit(0);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

void on_stop(int number) {
  const int error = errno;
  put(leave_sequence);
  set_modes(cooked);
  ::signal(number, SIG_DFL);
  ::raise(number);  // here it stands still, until SIGCONT
  struct sigaction again {};
  again.sa_handler = on_stop;
  again.sa_flags = SA_NODEFER | SA_RESTART;
  ::sigaction(number, &again, nullptr);
  set_modes(raw);
  put(enter_sequence);
  errno = error;
}

constexpr int ending_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};  // NOLINT(modernize-avoid-c-arrays)

}  // namespace

AlternateScreen::AlternateScreen(bool with_keys) {
  std::fflush(stdout);
  has_keys = with_keys && ::tcgetattr(STDIN_FILENO, &cooked) == 0;
  if (has_keys) {
    raw = cooked;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
    raw.c_iflag &= ~static_cast<tcflag_t>(ICRNL | IXON);  // Ctrl-S would hold the program up in a write
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
  }
  struct sigaction action {};
  action.sa_handler = on_end;
  for (const int number : ending_signals) ::sigaction(number, &action, nullptr);
  action.sa_handler = on_stop;
  action.sa_flags = SA_NODEFER | SA_RESTART;
  ::sigaction(SIGTSTP, &action, nullptr);
  // Another size interrupts the wait for a key.
  action.sa_handler = [](int) {};
  action.sa_flags = 0;
  ::sigaction(SIGWINCH, &action, nullptr);
  set_modes(raw);
  put(enter_sequence);
}

void AlternateScreen::leave() {
  if (left_) return;
  left_ = true;
  put(leave_sequence);
  set_modes(cooked);
  for (const int number : ending_signals) ::signal(number, SIG_DFL);
  ::signal(SIGTSTP, SIG_DFL);
  ::signal(SIGWINCH, SIG_DFL);
}

void AlternateScreen::show(const std::vector<std::string>& rows) {
  // Row by row over what stands there, so that nothing flickers. A row is cleared before it is written: behind one that
  // is as wide as the terminal, its last character would go.
  std::string screen = "\x1b[H";
  for (std::size_t i = 0; i < rows.size(); ++i) screen += (i == 0 ? "\x1b[K" : "\r\n\x1b[K") + rows[i];
  std::fputs(screen.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace weir::cli
