#pragma once

#include <cstddef>
#include <string>

namespace weir::cli {

// The terminal's second screen, as full-screen programs use it: what stood on the first is there again when this ends,
// by its destructor or by a signal (SIGINT and SIGTERM end the program with 0 then, as everywhere in Weir). stdout is a
// terminal. One at a time.
class AlternateScreen {
 public:
  AlternateScreen();
  ~AlternateScreen() { leave(); }
  AlternateScreen(const AlternateScreen&) = delete;
  auto operator=(const AlternateScreen&) -> AlternateScreen& = delete;

  // Puts the text in the place of what is shown; its first lines, if there are more than the terminal has rows, and a
  // last one that says how many are left out.
  void show(const std::string& text);
  // Back to the first screen; nothing is shown any more.
  void leave();

 private:
  bool left_ = false;
};

// As many of the text's lines as fit into so many rows.
[[nodiscard]] auto fit_rows(const std::string& text, std::size_t rows) -> std::string;

}  // namespace weir::cli
