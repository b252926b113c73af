#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>

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
  add("grep", view.grep);
  if (view.chunks) add("count", std::to_string(*view.chunks));
  add("for", arguments.view.end_after);
  if (view.color) add("color", "true");
  if (view.utf8) add("utf8", "true");
  return path;
}

// The view's file, with what a SIGHUP does to it: its thread and that of the stream take turns.
class WatchedOutput {
 public:
  WatchedOutput(Fd file, view::OutputOptions options) : output_(std::move(file), std::move(options)) {}

  // Waits while the disk is full; the API's end counts what it cannot send meanwhile, and shows it as a gap. A view
  // that has a time to end waits no longer than that.
  void end_at(MonoTime time) { end_at_ = time; }
  auto write(std::string_view bytes) -> bool {
    std::unique_lock lock(mutex_);
    output_.append(bytes);
    if (!output_.flush()) return false;
    while (output_.is_down()) {
      auto wait = std::max(output_.due().value_or(Nanos{0}), Nanos{std::chrono::milliseconds{1}});
      if (end_at_) {
        const Nanos left = *end_at_ - SystemClock::instance().mono();
        if (left <= Nanos{0}) {
          output_.try_now();
          return output_.flush() && !output_.is_down();
        }
        wait = std::min(wait, left);
      }
      lock.unlock();
      std::this_thread::sleep_for(wait);
      lock.lock();
      if (!output_.flush()) return false;
    }
    return true;
  }
  void reopen() {
    const std::lock_guard lock(mutex_);
    output_.reopen();
    (void)output_.flush();
  }
  // Once nobody writes.
  [[nodiscard]] auto error() const -> int { return output_.error(); }
  [[nodiscard]] auto why_down() const -> int { return output_.why_down(); }

 private:
  std::optional<MonoTime> end_at_;
  std::mutex mutex_;
  view::Output output_;
};

// SIGHUP opens the file again, also while nothing passes.
void reopen_at_hangup(const std::shared_ptr<WatchedOutput>& output) {
  sigset_t hangup;
  ::sigemptyset(&hangup);
  ::sigaddset(&hangup, SIGHUP);
  ::pthread_sigmask(SIG_BLOCK, &hangup, nullptr);
  std::thread([output, hangup] {
    int number = 0;
    while (::sigwait(&hangup, &number) == 0) output->reopen();
  }).detach();
}

auto run_watch(const WatchArguments& arguments) -> int {
  auto choice = parse_view(arguments.view);
  if (!choice) return complain(choice.error().message + " (see weir watch --help)", exit_usage);
  const auto client = arguments.api.client();
  if (!client) return complain(client.error().message, exit_usage);
  auto place = open_view_output(arguments.view);
  if (!place) return complain(place.error().message, exit_failure);
  choice->view.color = view::resolve_color(choice->color, place->fd.get());
  choice->view.utf8 = view::is_utf8_locale();

  ::signal(SIGPIPE, SIG_IGN);  // a reader that leaves is an error of write(2)
  const auto say = [quiet = arguments.quiet](const std::string& line) {
    if (!quiet) fmt::print(stderr, "weir: {}\n", line);
  };
  if (!place->note.empty()) say(place->note);
  choice->output.say = [say](LogLevel level, const std::string& line) {
    if (level == LogLevel::error) return (void)complain(line, exit_failure);
    say(line);
  };
  const auto output = std::make_shared<WatchedOutput>(std::move(place->fd), choice->output);
  if (!arguments.view.to_stdout()) reopen_at_hangup(output);
  const auto say_begin = [&] {
    // Its last lines may take their time.
    if (choice->end_after)
      output->end_at(SystemClock::instance().mono() + *choice->end_after + std::chrono::seconds{2});
    say("watching " + (arguments.proxy.empty() ? "all proxies" : "proxy " + bare(arguments.proxy)));
  };
  const auto ended = client->stream(path_of(arguments, choice->view), say_begin,
                                    [&](std::string_view bytes) { return output->write(bytes); });
  if (!ended) return complain(ended.error().message, exit_failure);
  if (output->error() == EPIPE) return exit_ok;  // its reader has seen enough
  if (output->error() != 0) {
    return complain(fmt::format("writing the view failed: {}", errno_text(output->error())), exit_failure);
  }
  if (output->why_down() != 0) {
    return complain(fmt::format("{}: {}: the end of the view is not written", choice->output.name,
                                view::named_errno(output->why_down())),
                    exit_failure);
  }
  if (ended->is_whole) {
    if (!ended->summary.empty()) say(ended->summary);
    return exit_ok;
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
      "  weir watch --grep SELECT -c 10 --for 1m        ten queries, or what comes in a minute\n"
      "\nIt ends with SIGINT or SIGTERM, or when -c or --for says so; then the last line sums up what the view was "
      "given, "
      "as that of weir tap.\n"
      "With --when-slow block a reader that takes nothing holds the traffic up, for 30s at most; then the API ends the "
      "view.\n"
      "Exit codes: 0 its reader left, or -c or --for ended it, 1 it could not be done or the API ended the view, "
      "2 wrong usage.");
  watch.callback([arguments, &exit_code] { exit_code = run_watch(*arguments); });
}

}  // namespace weir::cli
