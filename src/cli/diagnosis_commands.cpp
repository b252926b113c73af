// What a running weir serve says of lost time: weir ps and weir report.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/duration.h"
#include "cli/api_command.h"
#include "cli/terminal_width.h"
#include "http/percent.h"

namespace weir::cli {
namespace {

auto nanos_text(const Json& nanoseconds) -> std::string {
  return format_duration(Nanos{nanoseconds.get<std::int64_t>()});
}

auto bytes_text(const Json& bytes) -> std::string { return format_size(bytes.get<std::uint64_t>()); }

// "think 1.2s, likely"
auto pause_text(const Json& verdict) -> std::string {
  if (verdict.is_null()) return "-";
  return fmt::format("{} {}, {}", bare(verdict.at("cause")), nanos_text(verdict.at("length_ns")),
                     bare(verdict.at("certainty")));
}

void show_exchanges(const Json& answer) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& each : answer.at("exchanges")) {
    rows.push_back({nanos_text(each.at("age_ns")), bare(each.at("proxy")), bare(each.at("session")),
                    each.at("client").is_null() ? "-" : bare(each.at("client")), bytes_text(each.at("bytes_upstream")),
                    bytes_text(each.at("bytes_downstream")), bare(each.at("side")), nanos_text(each.at("held_ns")),
                    pause_text(each.at("verdict"))});
  }
  print_table({"AGE", "PROXY", "SESSION", "CLIENT", "SENT", "ANSWERED", "HELD BY", "FOR", "VERDICT"}, rows);
  if (const auto more = answer.at("left_out").get<std::uint64_t>(); more > 0) fmt::print("and {} more\n", more);
  if (answer.at("proxies").empty()) {
    fmt::print("no proxy is diagnosed; this switches it on: weir proxy set NAME diagnose=true\n");
  }
}

auto run_ps(const ApiCommand& api, const std::string& proxy, bool watch) -> int {
  const std::string path = "/exchanges" + (proxy.empty() ? "" : "?proxy=" + http::percent_encode(proxy));
  while (true) {
    // ECMA-48: home, and erase the screen.
    if (watch && !api.json() && ::isatty(STDOUT_FILENO) == 1) fmt::print("\x1b[H\x1b[J");
    const int code = api.ask("GET", path, {}, show_exchanges);
    std::fflush(stdout);
    if (!watch || code != exit_ok) return code;
    std::this_thread::sleep_for(std::chrono::seconds{1});
  }
}

auto run_report(const ApiCommand& api, const std::string& proxy) -> int {
  const std::string path = fmt::format("/proxies/{}/report", http::percent_encode(proxy));
  if (api.json()) return api.ask("GET", path, {}, [](const Json&) {});
  constexpr std::size_t wide = 1000;
  const std::size_t columns = ::isatty(STDOUT_FILENO) == 1 ? terminal_size().columns : wide;
  return api.ask("GET", fmt::format("{}?columns={}", path, columns), {}, [](const Json& answer) {
    for (const auto& line : answer.at("lines")) fmt::print("{}\n", bare(line));
  });
}

}  // namespace

void add_ps(Command app, int& exit_code) {
  struct Words {
    ApiCommand api;
    std::string proxy;
    bool watch = false;
  };
  auto words = std::make_shared<Words>();
  Command ps = app.add_subcommand("ps", "List the exchanges that are open now, and who holds them");
  words->api.add_options(ps);
  ps.add_option("--proxy", words->proxy, "Of this proxy only").type_name("NAME");
  ps.add_flag("--watch", words->watch, "Again every second, until it is ended");
  ps.footer(
      "Of the proxies of a running weir serve whose setting diagnose is true: each request that has no whole answer\n"
      "yet, the oldest first, with its age, who holds it and for how long, and the verdict so far on its longest\n"
      "pause. Where an answer ends, turns do not tell: one that was silent for a second is over.\n"
      "\nExamples:\n"
      "  weir proxy set db diagnose=true && weir ps --watch\n"
      "  weir ps --proxy db --json                for scripts");
  ps.callback([words, &exit_code] { exit_code = run_ps(words->api, words->proxy, words->watch); });
}

void add_report(Command app, int& exit_code) {
  struct Words {
    ApiCommand api;
    std::string proxy;
  };
  auto words = std::make_shared<Words>();
  Command report =
      app.add_subcommand("report", "Say who lost the time of a proxy's exchanges, and why, as weir why does");
  words->api.add_options(report);
  report.add_option("PROXY", words->proxy, "The proxy's name; its setting diagnose is true").required();
  report.footer(
      "What has passed since the setting diagnose was switched on, in a running weir serve.\n"
      "\nExamples:\n"
      "  weir proxy set db diagnose=true          from now on\n"
      "  weir report db\n"
      "  weir report db --json                    the object of weir why --json");
  report.callback([words, &exit_code] { exit_code = run_report(words->api, words->proxy); });
}

}  // namespace weir::cli
