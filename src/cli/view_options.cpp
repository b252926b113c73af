#include "cli/view_options.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <limits>
#include <utility>

#include "base/duration.h"
#include "base/nearest.h"
#include "cli/command.h"
#include "cli/usage_error.h"

namespace weir::cli {

void add_view_options(Command command, ViewArguments& arguments, const std::string& when_slow) {
  arguments.when_slow = when_slow;
  command.add_option("-s,--show", arguments.show, "The view on stdout: text, hex, dump, json, raw or none")
      .type_name("VIEW")
      .default_as_it_is();
  command
      .add_option("-o,--output", arguments.output,
                  "Write the view to FILE instead of stdout, after what it holds already; SIGHUP opens it again")
      .type_name("FILE");
  command.add_flag("--overwrite", arguments.overwrite, "With -o: begin the file anew");
  command
      .add_option("--rotate-size", arguments.rotate_size,
                  "With -o: at so many bytes, such as 100MiB, FILE becomes FILE.1, the next one FILE.2, and so on")
      .type_name("BYTES");
  command.add_option("--rotate-every", arguments.rotate_every, "With -o: the same when it is so old, such as 1h")
      .type_name("DURATION");
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
      .default_str(when_slow.empty() ? "drop on a terminal, else block" : when_slow);
  command
      .add_option("--grep", arguments.grep,
                  "Show only chunks that hold these bytes; \\r, \\n, \\t, \\\\ and \\x1f are understood")
      .type_name("PATTERN");
  command.add_option("-c,--count", arguments.count, "End when so many chunks have been shown")
      .type_name("N")
      .range(std::uint64_t{1}, std::numeric_limits<std::uint64_t>::max());
  command.add_option("--for", arguments.end_after, "End after this time, such as 30s").type_name("DURATION");
  offer_choices(command.option("--show"), {"text", "hex", "dump", "json", "raw", "none"});
  offer_choices(command.option("--only"), {"upstream", "downstream"});
  offer_choices(command.option("--color"), {"auto", "always", "never"});
  offer_choices(command.option("--when-slow"), {"block", "drop"});
}

namespace {

auto with_suggestion(Result<view::ViewKind> kind, const std::string& word) -> Result<view::ViewKind> {
  if (kind) return kind;
  const auto near = nearest(word, {"text", "hex", "dump", "json", "raw", "none"});
  return failure(kind.error().message + (near ? fmt::format("; did you mean {}?", *near) : ""));
}

// The bytes that are meant: C's escapes, as a shell passes no control character by hand.
auto parse_pattern(const std::string& text) -> Result<std::string> {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    const char kind = i + 1 < text.size() ? text[++i] : '\0';
    constexpr std::string_view letters = "rnt0\\";
    constexpr std::string_view meant = std::string_view("\r\n\t\0\\", 5);
    unsigned value = 0;
    if (const auto at = letters.find(kind); kind != '\0' && at != std::string_view::npos) {
      bytes += meant[at];
    } else if (kind == 'x' && i + 2 < text.size() &&
               std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3) {
      bytes += static_cast<char>(value);
      i += 2;
    } else {
      return failure(
          fmt::format("\"{}\": after a backslash write r, n, t, 0, x and two hex digits, or a backslash", text));
    }
  }
  return bytes;
}

auto parse_output(const ViewArguments& arguments, view::ViewKind kind) -> Result<view::OutputOptions> {
  view::OutputOptions output;
  output.lines = kind != view::ViewKind::raw;
  if (!arguments.to_stdout()) {
    output.path = arguments.output;
    output.name = "-o " + arguments.output;
    output.trouble = view::Trouble::passes;
  }
  for (const auto& [option, given] :
       {std::pair("--overwrite", arguments.overwrite), std::pair("--rotate-size", !arguments.rotate_size.empty()),
        std::pair("--rotate-every", !arguments.rotate_every.empty())}) {
    if (given && output.path.empty()) return failure(fmt::format("{}: it is about a file: give -o FILE too", option));
  }
  if (!arguments.rotate_size.empty()) {
    const auto size = in_option("--rotate-size", parse_size(arguments.rotate_size));
    if (!size) return tl::make_unexpected(size.error());
    if (*size == 0) return failure("--rotate-size: a file of 0 bytes holds nothing; write such as 100MiB");
    output.rotate_size = *size;
  }
  if (!arguments.rotate_every.empty()) {
    const auto every = in_option("--rotate-every", parse_duration(arguments.rotate_every));
    if (!every) return tl::make_unexpected(every.error());
    if (*every < std::chrono::seconds{1}) return failure("--rotate-every: write 1s or more, such as 1h");
    output.rotate_every = *every;
  }
  return output;
}

}  // namespace

auto parse_view(const ViewArguments& arguments) -> Result<ViewChoice> {
  ViewChoice choice;
  const auto kind = in_option("--show", with_suggestion(view::parse_view_kind(arguments.show), arguments.show));
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
  if (!arguments.when_slow.empty()) {
    const auto when_slow = view::parse_full_policy(arguments.when_slow);
    if (!when_slow) return failure(fmt::format("--when-slow {}: {}", arguments.when_slow, when_slow.error().message));
    choice.when_slow = *when_slow;
  }
  const auto pattern = in_option("--grep", parse_pattern(arguments.grep));
  if (!pattern) return tl::make_unexpected(pattern.error());
  choice.view.grep = *pattern;
  choice.view.chunks = arguments.count;
  if (choice.view.chunks && view::required_events(choice.view) == 0) {
    return failure("-c: --show none shows no chunk that could be counted");
  }
  if (!arguments.end_after.empty()) {
    const auto time = in_option("--for", parse_duration(arguments.end_after));
    if (!time) return tl::make_unexpected(time.error());
    choice.end_after = *time;
  }
  const auto output = parse_output(arguments, choice.view.kind);
  if (!output) return tl::make_unexpected(output.error());
  choice.output = *output;
  return choice;
}

auto open_view_output(const ViewArguments& arguments) -> Result<ViewPlace> {
  const std::string& path = arguments.output;
  if (arguments.to_stdout()) {
    auto out = view::standard_output();
    if (!out) return tl::make_unexpected(out.error());
    return ViewPlace{*std::move(out), ""};
  }
  auto file = view::open_for_writing(path, arguments.overwrite ? O_TRUNC : 0, 0666);
  if (!file) {
    const char* way_out = file.error().code == ENOENT ? " (create its directory first)" : "";
    return failure(fmt::format("-o {}: {}{}", path, file.error().message, way_out), file.error().code);
  }
  struct stat status {};
  const bool rotates = !arguments.rotate_size.empty() || !arguments.rotate_every.empty();
  if (::fstat(file->get(), &status) == 0 && !S_ISREG(status.st_mode)) {
    if (rotates) return failure(fmt::format("-o {}: only a regular file can be rotated", path));
    return ViewPlace{*std::move(file), ""};
  }
  std::string note;
  if (status.st_size > 0) {
    note = fmt::format("-o {}: it holds {} already, and more is added; --overwrite begins it anew", path,
                       format_size(static_cast<std::uint64_t>(status.st_size)));
  }
  return ViewPlace{*std::move(file), std::move(note)};
}

}  // namespace weir::cli
