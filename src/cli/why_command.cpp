#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/duration.h"
#include "cli/api_command.h"
#include "cli/command.h"
#include "cli/ends.h"
#include "cli/fault_options.h"
#include "cli/ready_fd.h"
#include "cli/setting_options.h"
#include "cli/terminal_width.h"
#include "cli/usage_error.h"
#include "cli/why_files.h"
#include "cli/why_report.h"
#include "diagnose/diagnosis.h"
#include "diagnose/report.h"
#include "engine/engine.h"
#include "engine/lifecycle.h"
#include "engine/peer_eyes.h"

namespace weir::cli {
namespace {

struct WhyArguments {
  std::string listen;
  std::string upstream;
  bool upstream_given = false;
  std::vector<std::string> more_files;
  SettingOptions settings;
  std::vector<std::string> faults;
  std::string end_after;
  std::optional<std::uint64_t> exchanges;
  bool once = false;
  std::string fail_over;
  std::string json;
  std::string compare;
  bool no_proof = false;
  std::optional<int> ready_fd;
};

struct WhyPlan {
  engine::ProxySpec proxy;
  diagnose::DiagnosisOptions diagnosis;
  std::optional<Nanos> end_after;
  WhyOutput output;
};

auto read_duration(const char* option, const std::string& text) -> Result<std::optional<Nanos>> {
  if (text.empty()) return std::optional<Nanos>();
  const auto parsed = in_option(option, parse_duration(text));
  if (!parsed) return tl::make_unexpected(parsed.error());
  return std::optional(*parsed);
}

// Of what was asked, what a capture cannot do: it is over already. Empty: nothing.
auto only_live(const WhyArguments& arguments) -> std::string {
  if (!arguments.faults.empty()) return "--fault";
  if (!arguments.end_after.empty()) return "--for";
  if (arguments.exchanges) return "--exchanges";
  if (arguments.once) return "--once";
  if (arguments.no_proof) return "--no-proof";
  if (arguments.ready_fd) return "--ready-fd";
  return arguments.settings.first_given();
}

// The captures that LISTEN and the words behind it name.
auto make_files(const WhyArguments& arguments) -> Result<WhyFiles> {
  if (const std::string option = only_live(arguments); !option.empty()) {
    return failure(fmt::format("{} is for a live service, and {} is a capture", option, arguments.listen));
  }
  WhyFiles files{.names = {arguments.listen}, .output = {}};
  if (arguments.upstream_given) files.names.push_back(arguments.upstream);
  files.names.insert(files.names.end(), arguments.more_files.begin(), arguments.more_files.end());
  auto output = make_output(arguments.json, arguments.compare, arguments.fail_over);
  if (!output) return tl::make_unexpected(output.error());
  files.output = *std::move(output);
  return files;
}

auto make_plan(const WhyArguments& arguments) -> Result<WhyPlan> {
  WhyPlan plan;
  if (!arguments.more_files.empty() || (arguments.upstream_given && is_capture_word(arguments.upstream))) {
    return failure(fmt::format("{} is no capture: give LISTEN and UPSTREAM, or captures alone", arguments.listen));
  }
  const auto ends =
      parse_ends("why", arguments.listen, arguments.upstream_given ? std::optional(arguments.upstream) : std::nullopt);
  if (!ends) return tl::make_unexpected(ends.error());
  plan.proxy.rules.listen = ends->listen;
  plan.proxy.rules.upstream = ends->upstream;
  plan.diagnosis.server = ends->upstream.text;
  if (auto set = arguments.settings.apply(plan.proxy.rules); !set) return tl::make_unexpected(set.error());
  auto faults = parse_faults(arguments.faults);
  if (!faults) return tl::make_unexpected(faults.error());
  plan.proxy.faults = *std::move(faults);
  if (arguments.once) plan.proxy.accept_limit = 1;
  plan.diagnosis.exchanges = arguments.exchanges;
  const auto end_after = read_duration("--for", arguments.end_after);
  if (!end_after) return tl::make_unexpected(end_after.error());
  plan.end_after = *end_after;
  auto output = make_output(arguments.json, arguments.compare, arguments.fail_over);
  if (!output) return tl::make_unexpected(output.error());
  plan.output = *std::move(output);
  tell_verdicts(plan.output, plan.diagnosis);
  if (auto open = check_ready_fd(arguments.ready_fd); !open) return tl::make_unexpected(open.error());
  return plan;
}

// The report so far, on a terminal: drawn anew in place each second, so that what was typed above stays in sight.
class LiveReport {
 public:
  void draw(const diagnose::Report& report) {
    const TerminalSize size = terminal_size();
    auto lines = diagnose::report_lines(report, size.columns);
    if (lines.size() >= size.rows) lines.resize(size.rows - 1);
    clear();
    for (const std::string& line : lines) fmt::print("{}\n", line);
    std::fflush(stdout);
    drawn_ = lines.size();
  }
  void clear() {
    if (drawn_ > 0) fmt::print("\x1b[{}A\x1b[J", std::exchange(drawn_, 0));  // ECMA-48: up, and erase from there
  }

 private:
  std::size_t drawn_ = 0;
};

auto run_why(const WhyArguments& arguments) -> int {
  if (is_capture_word(arguments.listen)) {
    const auto files = make_files(arguments);
    return files ? run_why_files(*files) : complain(files.error().message + " (see weir why --help)", exit_usage);
  }
  auto plan = make_plan(arguments);
  if (!plan) return complain(plan.error().message + " (see weir why --help)", exit_usage);
  if (auto fits = fit_descriptors(plan->proxy.rules); !fits) return complain(fits.error().message, exit_failure);
  engine::block_signals();
  const auto signals = engine::open_signals();
  if (!signals) return complain(signals.error().message, exit_failure);
  auto engine = engine::Engine::create({.workers = 1, .seed = any_seed()});
  if (!engine) return complain(engine.error().message, exit_failure);
  if (!arguments.no_proof) {
    plan->diagnosis.acknowledge_at_once = [&engine](const SessionHandle& handle, LegName leg, unsigned reads) {
      (*engine)->acknowledge_at_once(handle, leg, reads);
    };
  }
  plan->diagnosis.eyes = engine::open_peer_eyes();
  auto observer = std::make_unique<diagnose::Diagnosis>(plan->diagnosis);
  const auto& diagnosis = *observer;
  auto attached = (*engine)->attach({.observer = std::move(observer),
                                     .ring = {.policy = event::FullPolicy::drop,
                                              .mask = diagnose::required_events(),
                                              .slots = 16'384,
                                              .payload_limit = 32 * 1024 * 1024}});
  if (!attached) return complain(attached.error().message, exit_failure);
  const std::string upstream = plan->proxy.rules.upstream.text;
  const auto listening = (*engine)->add_proxy(std::move(plan->proxy));
  if (!listening) return complain(listening.error().message, exit_failure);
  if (auto started = (*engine)->start(); !started) return complain(started.error().message, exit_failure);
  const std::string line = fmt::format("listening on {}, upstream {}", listening->text, upstream);
  const bool is_live = plan->output.form == WhyForm::text && ::isatty(STDOUT_FILENO) == 1;
  fmt::print(stderr, "weir: {}; {}\n", line,
             is_live                                  ? "Ctrl-C ends it"
             : plan->output.form == WhyForm::verdicts ? "verdicts come as they are found"
                                                      : "the report comes at the end");
  if (auto told = tell_ready_fd(arguments.ready_fd, line); !told) return complain(told.error().message, exit_failure);
  engine::LifecycleOptions life{
      .drain = Nanos{0},  // who types Ctrl-C wants the report
      .end_after = plan->end_after,
      .why_deaf =
          [] { return std::ferror(stdout) != 0 ? "its output was closed" : "all exchanges of --exchanges were seen"; },
      .until_sessions_end = arguments.once,
      .say = [](std::string_view said) { fmt::print(stderr, "weir: {}\n", said); },
      .tells_lag = false,
      .each_second = {},
      .on_hangup = {}};
  LiveReport live;
  if (is_live) life.each_second = [&] { live.draw(diagnosis.report()); };
  (void)engine::run_to_end(**engine, *signals, life);
  live.clear();
  const diagnose::Report report = diagnosis.report();
  if (report.sessions == 0) {
    fmt::print(stderr, "weir: no client has connected: have the application use {}\n", listening->text);
  }
  return finish(report, plan->output, nullptr);
}

}  // namespace

void add_why(Command app, int& exit_code) {
  auto arguments = std::make_shared<WhyArguments>();
  Command why = app.add_subcommand(
      "why", "Stand between a client and an upstream, or read captures, and say who loses the time, and why");
  why.add_option(
         "LISTEN", arguments->listen,
         "8888 (127.0.0.1 only), :8888 (all addresses), host:port or unix:/path; or a capture (pcap or pcapng, - is "
         "stdin), and then all words are captures")
      .required();
  const Option upstream =
      why.add_option("UPSTREAM", arguments->upstream, "host:port, 5432 (of localhost) or unix:/path");
  why.add_option("FILE", arguments->more_files, "More captures, read as one in the order of their packets' times");
  arguments->settings.add_to(why);
  why.add_option("--fault", arguments->faults, "Put a fault into every session, as weir tap does; repeatable")
      .type_name("FAULT")
      .one_at_a_time();
  why.add_option("--for", arguments->end_after, "End after this time, such as 30s").type_name("DURATION");
  why.add_option("--exchanges", arguments->exchanges, "End after so many exchanges")
      .type_name("N")
      .range(std::uint64_t{1}, std::numeric_limits<std::uint64_t>::max());
  why.add_flag("--once", arguments->once, "Accept one session, end with it");
  why.add_option("--fail-over", arguments->fail_over,
                 "Exit with 3 if one pause lost more than this to a cause other than the client's own")
      .type_name("DURATION");
  why.add_flag("--no-proof", arguments->no_proof,
               "Prove nothing by comparison: the ACKs of a session that stalls are never sent at once");
  why.add_flag("--json", arguments->json, "report",
               "Print the report as one JSON object; --json=verdicts prints a line for each verdict, as it comes");
  why.add_option("--compare", arguments->compare, "Also tell what changed since the report that --json wrote here")
      .type_name("FILE");
  why.add_option("--ready-fd", arguments->ready_fd,
                 "Also write the \"listening on\" line to this descriptor, for scripts")
      .type_name("N")
      .range(0, 1 << 20);
  why.footer(
      timeouts_help() +
      "\nAn exchange is a request and its response, by turns. The time of each is somebody's: the client that sends, "
      "the "
      "server that answers or sends, Weir, or the path. A pause of a millisecond or more is judged; docs/causes.md "
      "tells the causes, and what each rule looks at.\n"
      "\nExamples:\n"
      "  weir why 8888 db.internal:5432                 the report comes with Ctrl-C\n"
      "  weir why --exchanges 1000 8888 db:5432         after a thousand exchanges\n"
      "  weir why --for 30s --fail-over 50ms 8888 db:5432 || echo slow\n"
      "  weir why capture.pcap                          of what tcpdump or Wireshark wrote\n"
      "  weir why --json 8888 db:5432 >before.json; weir why --compare before.json 8888 db:5432\n"
      "  tcpdump -i any -w - port 5432 | weir why -     until tcpdump ends\n"
      "\nExit codes: 0 done (a signal included), 1 it could not be done, 2 wrong usage, 3 --fail-over.");
  why.callback([arguments, upstream, &exit_code] {
    arguments->upstream_given = upstream.given();
    exit_code = run_why(*arguments);
  });
}

}  // namespace weir::cli
