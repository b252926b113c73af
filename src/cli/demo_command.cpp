#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/listen_address.h"
#include "base/upstream_address.h"
#include "cli/command.h"
#include "demo/demo.h"
#include "demo/embedded_weir.h"
#include "demo/naive_relay.h"
#include "demo/report.h"
#include "net/socket.h"
#include "view/terminal.h"

namespace weir::cli {
namespace {

struct DemoArguments {
  std::string color = "auto";
  std::vector<std::string> naive_relay;
};

auto run_naive(const std::vector<std::string>& addresses) -> int {
  const auto listen = ListenAddress::parse(addresses[0]);
  if (!listen) return complain("--naive-relay LISTEN: " + listen.error().message, exit_usage);
  const auto upstream = UpstreamAddress::parse(addresses[1]);
  if (!upstream) return complain("--naive-relay UPSTREAM: " + upstream.error().message, exit_usage);
  const auto ran = demo::run_naive_relay_until_signal(*listen, *upstream);
  return ran ? exit_ok : complain(ran.error().message, exit_failure);
}

auto run_demo(const DemoArguments& arguments, const std::string& program) -> int {
  std::signal(SIGPIPE, SIG_IGN);
  if (!arguments.naive_relay.empty()) return run_naive(arguments.naive_relay);
  const auto mode = view::parse_color_mode(arguments.color);
  if (!mode) return complain("--color: " + mode.error().message + " (see weir demo --help)", exit_usage);
  const demo::DemoOptions options{.progress = ::isatty(STDERR_FILENO) == 1 ? stderr : nullptr, .program = program};
  const auto report = demo::run_demo(demo::start_embedded_weir, options);
  if (!report) return complain(report.error().message, exit_failure);
  const demo::ReportStyle style{.color = view::resolve_color(*mode, STDOUT_FILENO), .unicode = view::is_utf8_locale()};
  const auto printed = demo::print_report(stdout, *report, style);
  return printed ? exit_ok : complain(printed.error().message, exit_failure);
}

}  // namespace

void add_demo(Command app, const std::string& program, int& exit_code) {
  auto arguments = std::make_shared<DemoArguments>();
  Command demo =
      app.add_subcommand("demo", "Show in ten seconds, on loopback, what a naive relay costs and what Weir does not");
  offer_choices(
      demo.add_option("--color", arguments->color, "auto (on a terminal, unless NO_COLOR is set), always or never")
          .type_name("WHEN")
          .default_as_it_is(),
      {"auto", "always", "never"});
  demo.add_option("--naive-relay", arguments->naive_relay,
                  "Run only the naive relay, in front of a server of your own: LISTEN UPSTREAM, as for weir tap")
      .type_name("LISTEN UPSTREAM")
      .expected(2);
  demo.footer(
      "A page of 1,000 queries of 296 bytes runs direct, through a relay that reads 128 bytes at a time without "
      "TCP_NODELAY (fewer queries, scaled), and through Weir. Then weir why stands next to that relay and says what it "
      "does wrong. No network and no other server is used.");
  demo.callback([arguments, program, &exit_code] { exit_code = run_demo(*arguments, program); });
}

}  // namespace weir::cli
