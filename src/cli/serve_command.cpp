#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "api/access.h"
#include "api/serve.h"
#include "base/duration.h"
#include "base/listen_address.h"
#include "cli/command.h"
#include "cli/log_options.h"
#include "cli/ready_fd.h"
#include "control/config.h"
#include "engine/polling.h"
#include "event/timeout_name.h"

namespace weir::cli {
namespace {

struct ServeArguments {
  std::string config;
  std::string api;
  std::optional<std::uint64_t> seed;
  std::optional<unsigned> workers;
  std::string poll;
  std::string drain;
  bool compat_open = false;
  LogArguments log;
  bool quiet = false;
  std::optional<int> ready_fd;
  std::optional<int> exit_on_eof;
};

auto run_serve(const ServeArguments& arguments) -> int {
  if (auto open = check_ready_fd(arguments.ready_fd); !open) return complain(open.error().message, exit_failure);
  api::ServeOptions options;
  if (!arguments.api.empty()) {
    auto api = ListenAddress::parse(arguments.api);
    if (!api) return complain("--api: " + api.error().message, exit_usage);
    options.api = *std::move(api);
  }
  if (!arguments.drain.empty()) {
    const auto drain = parse_duration_or_off(arguments.drain);
    if (!drain) return complain("--drain: " + drain.error().message, exit_usage);
    options.drain = *drain;
  }
  if (!arguments.poll.empty()) {
    const auto poll = engine::parse_polling(arguments.poll);
    if (!poll) return complain("--poll: " + poll.error().message, exit_usage);
    options.poll = *poll;
  }
  options.config = arguments.config;
  // From the environment alone: a command line is readable by every user of the machine.
  if (const char* token = std::getenv("WEIR_TOKEN")) options.token = token;
  options.compat_open = arguments.compat_open;
  options.seed = arguments.seed;
  options.exit_on_eof = arguments.exit_on_eof;
  options.workers = arguments.workers;
  options.version = version_text();
  auto log = arguments.log.parse();
  if (!log) return complain(log.error().message, exit_usage);
  options.log = *std::move(log);
  options.quiet = arguments.quiet;
  options.on_listening = [&](const std::string& where) {
    return tell_ready_fd(arguments.ready_fd, "serving the API on " + where);
  };
  const auto served = api::serve(std::move(options));
  return served ? exit_ok : complain(served.error().message, exit_failure);
}

}  // namespace

void add_check(Command app, int& exit_code) {
  auto file = std::make_shared<std::string>();
  Command check = app.add_subcommand("check", "Check a configuration file and print every value it puts in force");
  check.add_option("FILE,-c,--config", *file, "The file to check").type_name("FILE").required();
  check.callback([file, &exit_code] {
    const auto config = control::read_config(*file);
    auto checked = config ? control::check_machine(*config) : tl::make_unexpected(config.error());
    if (checked && config->api) {
      const char* token = std::getenv("WEIR_TOKEN");
      const auto rules =
          api::make_rules(config->api->addresses, token == nullptr ? "" : token, config->compat_open.value_or(false));
      if (!rules) checked = failure(fmt::format("{}: api.listen: {}", *file, rules.error().message));
    }
    if (!checked) {
      exit_code = complain(checked.error().message, exit_usage);
      return;
    }
    fmt::print("{}", control::effective_config(*config));
    exit_code = exit_ok;
  });
}

void add_serve(Command app, int& exit_code) {
  auto arguments = std::make_shared<ServeArguments>();
  Command serve = app.add_subcommand("serve", "Serve proxies and faults that an HTTP API rules");
  serve.add_option("-c,--config", arguments->config, "Proxies and faults to begin with; SIGHUP reads the file again")
      .type_name("FILE");
  serve
      .add_option("--api", arguments->api,
                  "Where the API listens (default: 127.0.0.1:8474); unix:/path is readable to its owner alone")
      .type_name("ADDRESS");
  serve.add_option("--seed", arguments->seed, "What all faults draw from: the same seed, the same faults")
      .type_name("N")
      .range(std::uint64_t{0}, std::uint64_t{9'007'199'254'740'991});
  serve.add_option("--workers", arguments->workers, "Threads that relay (default: one per usable core)")
      .type_name("N")
      .range(1U, 256U);
  const Option poll =
      serve
          .add_option("--poll", arguments->poll,
                      "How long a worker asks for events before it sleeps: auto (50us), off or a duration; small "
                      "answers come sooner, for more CPU (docs/configuration.md; default: off)")
          .type_name("DURATION");
  offer_choices(poll, {"auto", "off"});
  serve
      .add_option(
          "--drain", arguments->drain,
          "How long sessions may go on after SIGINT or SIGTERM; off: no limit (default: 30s; as process 1, such as "
          "in a container, 8s, as docker stop kills after 10s)")
      .type_name("DURATION");
  serve.add_flag("--compat-open", arguments->compat_open,
                 "Bound beyond this machine without a token: open toxiproxy's routes to everybody, and nothing else");
  add_log_options(serve, arguments->log, "; the file's, or stderr, without it; SIGHUP opens files again");
  serve.add_flag("-q,--quiet", arguments->quiet, "Nothing on stderr but errors");
  serve.add_option("--ready-fd", arguments->ready_fd, "Also write the \"serving\" line to this descriptor, for scripts")
      .type_name("N")
      .range(0, 1 << 20);
  serve
      .add_option("--exit-on-eof", arguments->exit_on_eof,
                  "End as on SIGTERM when this descriptor reads end of file: give a pipe that the parent holds open")
      .type_name("FD")
      .range(0, 1 << 20);
  serve.footer(
      "The API speaks toxiproxy's routes at its root, so that toxiproxy's clients work unchanged, ours under /api/v1 "
      "(GET /api/v1/openapi.json lists them), and Prometheus under /metrics.\n"
      "It listens on this machine only, unless WEIR_TOKEN in the environment sets a token, which requests then send as "
      "Authorization: Bearer TOKEN.\n"
      "Each line of text on stderr begins with the time in UTC, unless it goes to systemd's journal, which notes it.\n"
      "\nExamples:\n"
      "  weir serve                            then point a toxiproxy client at localhost:8474\n"
      "  weir serve --api unix:/run/weir.sock  for one user only\n"
      "\nExit codes: 0 done (a signal included), 1 it could not be done, 2 wrong usage.");
  serve.callback([arguments, &exit_code] { exit_code = run_serve(*arguments); });
}

}  // namespace weir::cli
