// The options that choose what a view shows, for each command that shows one.
#pragma once

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
};
// `when_slow`: what it is when nobody says.
void add_view_options(Command command, ViewArguments& arguments, const std::string& when_slow);

struct ViewChoice {
  view::ViewOptions view;
  event::FullPolicy when_slow{};
  view::ColorMode color = view::ColorMode::automatic;
};
// The error begins with the option's name.
[[nodiscard]] auto parse_view(const ViewArguments& arguments) -> Result<ViewChoice>;
// Where the view goes: the file, or stdout.
[[nodiscard]] auto open_view_output(const std::string& path) -> Result<Fd>;

}  // namespace weir::cli
