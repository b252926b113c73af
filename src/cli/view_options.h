// The options that choose what a view shows, for each command that shows one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "cli/command_line.h"
#include "view/view.h"

namespace weir::cli {

struct ViewArguments {
  std::string show = "text";
  std::string output;
  std::string only;
  std::string limit;
  std::string color = "auto";
  std::string filter_client;
  std::string when_slow;
  bool overwrite = false;
  std::string rotate_size;
  std::string rotate_every;
  std::string grep;
  std::optional<std::uint64_t> count;
  std::string end_after;

  // No file was named; "-" is standard output, as everywhere.
  [[nodiscard]] auto to_stdout() const -> bool { return output.empty() || output == "-"; }
};
// `when_slow`: what it is when nobody says; empty: drop on a terminal, else block.
void add_view_options(Command command, ViewArguments& arguments, const std::string& when_slow);

struct ViewChoice {
  view::ViewOptions view;
  std::optional<event::FullPolicy> when_slow{};  // none: as the view's place is a terminal or not
  view::ColorMode color = view::ColorMode::automatic;
  std::optional<Nanos> end_after{};
  view::OutputOptions output{};
};
// The error begins with the option's name.
[[nodiscard]] auto parse_view(const ViewArguments& arguments) -> Result<ViewChoice>;

// Where the view goes: the file, or stdout.
struct ViewPlace {
  Fd fd;
  std::string note;  // that it is added to what a file holds already; or empty
};
[[nodiscard]] auto open_view_output(const ViewArguments& arguments) -> Result<ViewPlace>;

}  // namespace weir::cli
