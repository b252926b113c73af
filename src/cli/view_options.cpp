#include "cli/view_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/duration.h"
#include "cli/command.h"
#include "cli/usage_error.h"

namespace weir::cli {

void add_view_options(Command command, ViewArguments& arguments, const std::string& when_slow) {
  arguments.when_slow = when_slow;
  command.add_option("-s,--show", arguments.show, "The view on stdout: text, hex, dump, json, raw or none")
      .type_name("VIEW")
      .default_as_it_is();
  command.add_option("-o,--output", arguments.output, "Write the view to FILE instead of stdout").type_name("FILE");
  command
      .add_option("--only", arguments.only,
                  "Show the bytes of one direction only: upstream (client to server) or downstream")
      .type_name("DIRECTION");
  command.add_option("--limit", arguments.limit, "Show at most so many bytes of a chunk, such as 64 or 4KiB")
      .type_name("BYTES");
  command.add_option("--color", arguments.color, "auto (on a terminal, unless NO_COLOR is set), always or never")
      .type_name("WHEN")
      .default_as_it_is();
  command
      .add_option("--filter-client", arguments.filter_client,
                  "Show only sessions of this client: an address, a network such as 10.0.0.0/8, or unix")
      .type_name("ADDR");
  command
      .add_option(
          "--when-slow", arguments.when_slow,
          "When the view's reader is slower than the traffic: block (slow the traffic, lose nothing) or drop (count "
          "what is not shown)")
      .type_name("POLICY")
      .default_as_it_is();
  offer_choices(command.option("--show"), {"text", "hex", "dump", "json", "raw", "none"});
  offer_choices(command.option("--only"), {"upstream", "downstream"});
  offer_choices(command.option("--color"), {"auto", "always", "never"});
  offer_choices(command.option("--when-slow"), {"block", "drop"});
}

auto parse_view(const ViewArguments& arguments) -> Result<ViewChoice> {
  ViewChoice choice;
  const auto kind = in_option("--show", view::parse_view_kind(arguments.show));
  if (!kind) return tl::make_unexpected(kind.error());
  choice.view.kind = *kind;
  if (!arguments.only.empty()) {
    const auto only = in_option("--only", view::parse_direction(arguments.only));
    if (!only) return tl::make_unexpected(only.error());
    choice.view.only = *only;
  }
  if (!arguments.limit.empty()) {
    const auto limit = in_option("--limit", parse_size(arguments.limit));
    if (!limit) return tl::make_unexpected(limit.error());
    choice.view.limit = *limit;
  }
  const auto color = in_option("--color", view::parse_color_mode(arguments.color));
  if (!color) return tl::make_unexpected(color.error());
  choice.color = *color;
  if (!arguments.filter_client.empty()) {
    const auto filter = in_option("--filter-client", ClientFilter::parse(arguments.filter_client));
    if (!filter) return tl::make_unexpected(filter.error());
    choice.view.filter.client = *filter;
  }
  const auto when_slow = view::parse_full_policy(arguments.when_slow);
  if (!when_slow) return failure(fmt::format("--when-slow {}: {}", arguments.when_slow, when_slow.error().message));
  choice.when_slow = *when_slow;
  return choice;
}

auto open_view_output(const std::string& path) -> Result<Fd> {
  if (path.empty()) return Fd(::dup(STDOUT_FILENO));
  auto file = view::open_for_writing(path, O_TRUNC, 0666);
  if (!file) {
    const char* way_out = file.error().code == ENOENT ? " (create its directory first)" : "";
    return failure(fmt::format("-o {}: {}{}", path, file.error().message, way_out), file.error().code);
  }
  return file;
}

}  // namespace weir::cli
