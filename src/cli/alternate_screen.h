#pragma once

#include <string>
#include <vector>

namespace weir::cli {

// The terminal's second screen, as full-screen programs use it: what stood on the first is there again when this ends,
// by its destructor or by a signal (SIGINT and SIGTERM end the program with 0 then, as everywhere in Weir). stdout is a
// terminal. One at a time.
//
// With keys, stdin is a terminal too: what is typed is not shown, and can be read at once. Its modes are restored with
// the screen. Ctrl-C stays a signal.
class AlternateScreen {
 public:
  explicit AlternateScreen(bool with_keys);
  ~AlternateScreen() { leave(); }
  AlternateScreen(const AlternateScreen&) = delete;
  auto operator=(const AlternateScreen&) -> AlternateScreen& = delete;

  // Puts these rows in the place of what is shown: as many as the terminal has, none wider than it.
  void show(const std::vector<std::string>& rows);
  // Back to the first screen; nothing is shown any more.
  void leave();

 private:
  bool left_ = false;
};

}  // namespace weir::cli
