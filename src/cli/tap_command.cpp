#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "base/duration.h"
#include "cli/command.h"
#include "cli/ends.h"
#include "cli/fault_options.h"
#include "cli/log_options.h"
#include "cli/ready_fd.h"
#include "cli/setting_options.h"
#include "cli/usage_error.h"
#include "cli/view_options.h"
#include "cli/why_view.h"
#include "engine/engine.h"
#include "engine/lifecycle.h"
#include "engine/machine.h"
#include "engine/polling.h"
#include "net/socket.h"

namespace weir::cli {
namespace {

struct TapArguments {
  std::string listen;
  std::string upstream;
  bool upstream_given = false;
  ViewArguments view;
  SettingOptions settings;
  std::vector<std::string> faults;
  std::optional<std::uint64_t> seed;
  std::string workers = "1";
  std::string poll = "off";
  LogArguments log;
  bool once = false;
  bool quiet = false;
  bool why = false;
  std::string slow;
  std::optional<int> ready_fd;
};

struct TapPlan {
  WhyViewOptions why;
  engine::ProxySpec proxy;
  ViewChoice view;
  syslog::LogSettings log;
  unsigned workers = 1;
  Nanos poll{};
  std::uint64_t seed = 0;
};

auto parse_workers(const std::string& text) -> Result<unsigned> {
  if (text == "auto") return engine::usable_cores();
  const auto bad = [&] {
    return failure(fmt::format("--workers {}: write a number from 1 to 256, or \"auto\"", text));
  };
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1 || value > 256) return bad();
  return value;
}

auto make_plan(const TapArguments& arguments) -> Result<TapPlan> {
  TapPlan plan;
  const auto ends =
      parse_ends("tap", arguments.listen, arguments.upstream_given ? std::optional(arguments.upstream) : std::nullopt);
  if (!ends) return tl::make_unexpected(ends.error());
  plan.proxy.rules.listen = ends->listen;
  plan.proxy.rules.upstream = ends->upstream;

  auto view = parse_view(arguments.view);
  if (!view) return tl::make_unexpected(view.error());
  plan.view = *std::move(view);
  plan.why = {.server = ends->upstream.text, .verdicts = arguments.why};
  const bool prints = plan.view.view.kind != view::ViewKind::none;
  if (arguments.why && (!prints || plan.view.view.kind == view::ViewKind::raw)) {
    return failure(fmt::format("--why: --show {} shows no verdict", to_string(plan.view.view.kind)));
  }
  if (!arguments.slow.empty()) {
    if (!prints) return failure("--slow: --show none shows no exchange");
    const auto slow = in_option("--slow", parse_duration(arguments.slow));
    if (!slow) return tl::make_unexpected(slow.error());
    plan.why.slow = *slow;
  }
  if (auto set = arguments.settings.apply(plan.proxy.rules); !set) return tl::make_unexpected(set.error());
  auto faults = parse_faults(arguments.faults);
  if (!faults) return tl::make_unexpected(faults.error());
  plan.proxy.faults = *std::move(faults);
  plan.seed = arguments.seed ? *arguments.seed : any_seed();
  const auto log = arguments.log.parse();
  if (!log) return tl::make_unexpected(log.error());
  plan.log = syslog::settle(*log, {}, arguments.quiet);
  const auto workers = parse_workers(arguments.workers);
  if (!workers) return tl::make_unexpected(workers.error());
  plan.workers = *workers;
  const auto poll = in_option("--poll", engine::parse_polling(arguments.poll));
  if (!poll) return tl::make_unexpected(poll.error());
  plan.poll = *poll;
  if (arguments.once) plan.proxy.accept_limit = 1;
  if (auto open = check_ready_fd(arguments.ready_fd); !open) return tl::make_unexpected(open.error());
  return plan;
}

// How long the next step waits for what was said to get out.
constexpr std::chrono::milliseconds log_patience{200};

auto announce(const std::string& listening, const std::string& upstream, const TapArguments& arguments,
              std::uint64_t seed, syslog::TargetLog& log) -> Result<void> {
  const std::string line = fmt::format("listening on {}, upstream {}", listening, upstream);
  log.info(line);
  if (!arguments.faults.empty()) {
    log.info(fmt::format("{} fault{}, --seed {} draws the same again", arguments.faults.size(),
                         arguments.faults.size() == 1 ? "" : "s", seed));
  }
  // Whoever waits for the descriptor may look into the log then.
  log.flush(log_patience);
  return tell_ready_fd(arguments.ready_fd, line);
}

auto writes_files(const TapPlan& plan) -> bool {
  return !plan.view.output.path.empty() || std::ranges::any_of(plan.log.targets, [](const auto& target) {
    return target.transport == syslog::Transport::file;
  });
}

// What became of the view, once its observer has ended. Nothing: all of it was written, or its reader has left.
auto view_problem(const view::Output& output) -> std::optional<std::string> {
  if (output.error() != 0 && output.error() != EPIPE) {
    return fmt::format("writing the view failed: {}", errno_text(output.error()));
  }
  if (!output.is_down()) return std::nullopt;
  return fmt::format("{}: {}: the end of the view is not written", output.status().name,
                     view::named_errno(output.why_down()));
}

auto end_tap(engine::Engine& engine, const Fd& signals, const TapPlan& plan, const engine::LifecycleOptions& life,
             view::Output& output, syslog::TargetLog& log) -> int {
  const auto ending = engine::run_to_end(engine, signals, life);
  log.info(engine::summary(ending.totals, ending.dropped));
  log.flush(log_patience);
  if (ending.output_stuck) {
    // Its thread is stuck in a write that nobody reads; unwinding would wait for it for ever.
    complain("the reader of the view did not take its last lines; they are lost", exit_failure);
    std::fflush(nullptr);
    ::_exit(exit_failure);
  }
  const auto problem = view::required_events(plan.view.view) == 0 ? std::nullopt : view_problem(output);
  return problem ? complain(*problem, exit_failure) : exit_ok;
}

// The view, and with --why or --slow a diagnosis beside it.
auto view_spec(TapPlan& plan, view::Output& output, event::FullPolicy when_slow) -> engine::ObserverSpec {
  engine::ObserverSpec spec;
  auto view = view::make_view(plan.view.view, output);
  if (!plan.why.verdicts && !plan.why.slow) {
    spec.observer = std::move(view);
    spec.ring = view::ring_options(plan.view.view, when_slow);
  } else {
    spec.observer = std::make_unique<WhyView>(std::move(view), std::move(plan.why));
    spec.ring = WhyView::ring_options(plan.view.view, when_slow);
  }
  return spec;
}

auto run_tap(const TapArguments& arguments) -> int {
  auto plan = make_plan(arguments);
  if (!plan) return complain(plan.error().message + " (see weir tap --help)", exit_usage);
  if (auto fits = fit_descriptors(plan->proxy.rules); !fits) return complain(fits.error().message, exit_failure);
  const bool files = writes_files(*plan);
  engine::block_signals(files);
  const auto signals = engine::open_signals(files);
  if (!signals) return complain(signals.error().message, exit_failure);
  syslog::TargetLog log;
  if (auto set = log.configure(plan->log); !set) return complain("--log " + set.error().message, exit_failure);

  view::ViewOptions& view = plan->view.view;
  const bool shows = view::required_events(view) != 0;
  auto place = shows || !arguments.view.to_stdout() ? open_view_output(arguments.view) : Result<ViewPlace>();
  if (!place) return complain(place.error().message, exit_failure);
  if (!place->note.empty()) log.info(place->note);
  view.color = view::resolve_color(plan->view.color, place->fd.get());
  view.utf8 = view::is_utf8_locale();
  plan->view.output.say = [&log](LogLevel level, const std::string& line) { log.write(level, line, {}); };
  // A terminal is stopped by Ctrl-S, or by a hand on its scroll bar: that must not stall a service.
  const auto when_slow = plan->view.when_slow.value_or(::isatty(place->fd.get()) == 1 ? event::FullPolicy::drop
                                                                                      : event::FullPolicy::block);
  view::Output output(std::move(place->fd), plan->view.output);

  auto engine = engine::Engine::create({.workers = plan->workers, .seed = plan->seed, .poll = plan->poll});
  if (!engine) return complain(engine.error().message, exit_failure);
  if (shows) {
    auto attached = (*engine)->attach(view_spec(*plan, output, when_slow));
    if (!attached) return complain(attached.error().message, exit_failure);
  }
  const auto drain = plan->proxy.rules.timeouts[event::TimeoutName::drain];
  const std::string upstream = plan->proxy.rules.upstream.text;
  const auto listening = (*engine)->add_proxy(std::move(plan->proxy));
  if (!listening) return complain(listening.error().message, exit_failure);
  if (auto started = (*engine)->start(); !started) return complain(started.error().message, exit_failure);
  const auto said = announce(listening->text, upstream, arguments, plan->seed, log);
  if (!said) return complain(said.error().message, exit_failure);

  engine::LifecycleOptions life{.drain = drain,
                                .end_after = plan->view.end_after,
                                .why_deaf = {},
                                .until_sessions_end = arguments.once,
                                .say = {},
                                .tells_lag = true,
                                .each_second = {},
                                .on_hangup = {}};
  life.why_deaf = [&] { return output.closed() ? "the view's output was closed" : "all chunks of -c were shown"; };
  life.say = [&](std::string_view line) { log.info(line); };
  if (files) {
    life.on_hangup = [&] {
      log.reopen();
      output.reopen();
    };
  }
  return end_tap(**engine, *signals, *plan, life, output, log);
}

// The values that are words, for the completion.
void offer_tap_choices(Command tap) {
  offer_choices(tap.option("--workers"), {"auto"});
  offer_choices(tap.option("--poll"), {"auto", "off"});
  offer_choices(tap.option("--fault"), fault_types());
}

void add_relay_options(Command tap, TapArguments& arguments) {
  arguments.settings.add_to(tap);
  tap.add_option("--fault", arguments.faults, "Put a fault into every session, see below; repeatable, in order")
      .type_name("FAULT")
      .one_at_a_time();
  tap.add_option("--seed", arguments.seed, "What the faults draw from: the same seed, the same faults").type_name("N");
  tap.add_option("--workers", arguments.workers, "Threads that relay; auto: one per usable core")
      .type_name("N")
      .default_as_it_is();
  tap.add_option("--poll", arguments.poll,
                 "How long a worker asks for events before it sleeps: auto (50us), off or a duration; small answers "
                 "come sooner, for more CPU (docs/configuration.md)")
      .type_name("DURATION")
      .default_as_it_is();
  tap.add_flag("--once", arguments.once, "Accept one session, exit when it ends");
  add_log_options(tap, arguments.log, " (default: stderr); with a file, SIGHUP opens it again");
  tap.add_flag("--why", arguments.why,
               "Say of each pause of a millisecond or more who lost the time, and why, behind what ended it; see "
               "weir why --help");
  tap.add_option("--slow", arguments.slow, "Show only exchanges that took longer than this, such as 50ms")
      .type_name("DURATION");
  tap.add_flag("-q,--quiet", arguments.quiet, "Nothing on stderr but errors");
  tap.add_option("--ready-fd", arguments.ready_fd,
                 "Also write the \"listening on\" line to this descriptor, for scripts")
      .type_name("N")
      .range(0, 1 << 20);
}

}  // namespace

void add_tap(Command app, int& exit_code) {
  auto arguments = std::make_shared<TapArguments>();
  Command tap = app.add_subcommand("tap", "Stand between a client and an upstream and show every byte that passes");
  tap.add_option("LISTEN", arguments->listen,
                 "8888 (127.0.0.1 only), :8888 (all addresses), host:port, [::1]:8888 or unix:/path; port 0 picks one, "
                 "and so does leaving LISTEN out")
      .required();
  const Option upstream = tap.add_option(
      "UPSTREAM", arguments->upstream,
      "host:port, 5432 (of localhost), [v6]:port or unix:/path; a name is resolved when a client connects");
  add_view_options(tap, arguments->view, "");
  add_relay_options(tap, *arguments);
  offer_tap_choices(tap);
  tap.footer(
      timeouts_help() + "\n" + faults_help() +
      "\nExamples:\n"
      "  weir tap 8888 db.internal:5432                    PostgreSQL traffic as text\n"
      "  weir tap --show dump --limit 64 8888 cache:6379   64 bytes of every chunk\n"
      "  weir tap --show raw --only downstream --once 0 host:80 > body\n"
      "  weir tap --grep SELECT -c 10 --for 1m db:5432     ten queries, on any free port\n"
      "  weir tap --why --slow 50ms 8888 db:5432           the slow queries, and why they were\n"
      "  weir tap -s json -o log --rotate-size 100MiB 8888 db:5432\n"
      "  weir tap -t idle.server=2s -t connect=500ms :8080 [::1]:80\n"
      "  weir tap --fault 'latency latency=100ms jitter=20ms' 8888 db.internal:5432\n"
      "\nWhere the disk under -o is full, the traffic goes on: the file is tried again each second, and what was "
      "not written is counted in a gap line.\n"
      "SIGINT or SIGTERM stops accepting and lets sessions end for the drain time; a second one ends them now.\n"
      "Exit codes: 0 done (a signal included), 1 it could not be done, 2 wrong usage.");
  tap.callback([arguments, upstream, &exit_code] {
    arguments->upstream_given = upstream.given();
    exit_code = run_tap(*arguments);
  });
}

}  // namespace weir::cli
