#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <limits>

#include "cli/api_command.h"
#include "cli/view_options.h"
#include "http/percent.h"
#include "view/output.h"
#include "view/terminal.h"

namespace weir::cli {
namespace {

struct WatchArguments {
  ApiCommand api;
  std::string proxy;
  std::optional<std::uint64_t> session;
  ViewArguments view;
  bool quiet = false;
};

// The view's choices as the API takes them: each only if it was made.
auto path_of(const WatchArguments& arguments, const view::ViewOptions& view) -> std::string {
  std::string path =
      arguments.proxy.empty() ? "/api/v1/watch" : "/api/v1/proxies/" + http::percent_encode(arguments.proxy) + "/watch";
  path += "?show=" + arguments.view.show + "&when_slow=" + arguments.view.when_slow;
  const auto add = [&path](std::string_view key, const std::string& value) {
    if (!value.empty()) path += fmt::format("&{}={}", key, http::percent_encode(value));
  };
  add("only", arguments.view.only);
  add("limit", arguments.view.limit);
  add("filter_client", arguments.view.filter_client);
  if (arguments.session) add("session", std::to_string(*arguments.session));
  if (view.color) add("color", "true");
  if (view.utf8) add("utf8", "true");
  return path;
}

auto run_watch(const WatchArguments& arguments) -> int {
  auto choice = parse_view(arguments.view);
  if (!choice) return complain(choice.error().message + " (see weir watch --help)", exit_usage);
  const auto client = arguments.api.client();
  if (!client) return complain(client.error().message, exit_usage);
  const auto file = open_view_output(arguments.view.output);
  if (!file) return complain(file.error().message, exit_failure);
  choice->view.color = view::resolve_color(choice->color, file->get());
  choice->view.utf8 = view::is_utf8_locale();

  ::signal(SIGPIPE, SIG_IGN);  // a reader that leaves is an error of write(2)
  view::Output output(file->get());
  const auto say_begin = [&] {
    if (arguments.quiet) return;
    const std::string what = arguments.proxy.empty() ? "all proxies" : "proxy " + bare(arguments.proxy);
    fmt::print(stderr, "weir: watching {}\n", what);
  };
  const auto ended = client->stream(path_of(arguments, choice->view), say_begin, [&](std::string_view bytes) {
    output.append(bytes);
    return output.flush();
  });
  if (!ended) return complain(ended.error().message, exit_failure);
  if (output.error() == EPIPE) return exit_ok;  // its reader has seen enough
  if (output.error() != 0) {
    return complain(fmt::format("writing the view failed: {}", errno_text(output.error())), exit_failure);
  }
  return complain(fmt::format("the API at {} ended the view", client->url()), exit_failure);
}

}  // namespace

void add_watch(Command app, int& exit_code) {
  auto arguments = std::make_shared<WatchArguments>();
  Command watch = app.add_subcommand("watch", "Show what passes through the proxies of a running weir serve");
  watch.add_option("PROXY", arguments->proxy, "The proxy; none: all of them, those to come included");
  arguments->api.add_url(watch);
  add_view_options(watch, arguments->view, "drop");
  watch.add_option("--session", arguments->session, "Show only the session of this number")
      .type_name("N")
      .range(std::uint64_t{1}, std::numeric_limits<std::uint64_t>::max());
  watch.add_flag("-q,--quiet", arguments->quiet, "Nothing on stderr but errors");
  watch.footer(
      "No session is ended or begun anew; those that are open already are shown from now on.\n"
      "\nExamples:\n"
      "  weir watch db                                  the traffic of one proxy, as weir tap shows it\n"
      "  weir watch db --show dump --limit 64           the first 64 bytes of every chunk\n"
      "  weir watch --show json | jq .                  all proxies, a line of JSON for each event\n"
      "  weir watch db --session 12 --only downstream   what the server says in one session\n"
      "\nIt ends with SIGINT or SIGTERM. With --when-slow block a reader that takes\n"
      "nothing holds the traffic up, for 30s at most; then the API ends the view.\n"
      "Exit codes: 0 its reader left, 1 it could not be done or the API ended the\n"
      "view, 2 wrong usage.");
  watch.callback([arguments, &exit_code] { exit_code = run_watch(*arguments); });
}

}  // namespace weir::cli
