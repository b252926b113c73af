#include "demo/demo.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "demo/embedded_upstream.h"
#include "demo/naive_relay.h"
#include "demo/page.h"

namespace weir::demo {
namespace {

// One line on a terminal, written over and taken away again when done. Does nothing without one.
class ProgressLine {
 public:
  explicit ProgressLine(std::FILE* terminal) : terminal_(terminal) {}
  ~ProgressLine() { show(""); }
  ProgressLine(const ProgressLine&) = delete;
  auto operator=(const ProgressLine&) -> ProgressLine& = delete;

  void show(std::string_view text) {
    if (terminal_ == nullptr) return;
    fmt::print(terminal_, "\r\x1b[K{}", text);
    // Only a courtesy: a terminal that takes no more changes nothing of the demonstration.
    static_cast<void>(std::fflush(terminal_));
  }

 private:
  std::FILE* terminal_;
};

// A way to the upstream that pages are run through, and what they took.
struct Path {
  RowKind kind;
  std::string name;
  std::uint16_t port;
  std::vector<Series> pages{};
};

// The paths take turns, so that whatever else this machine does hits all of them alike; a first turn
// warms up (caches, the branch predictor, the kernel's socket slabs) and is not counted. Returns how
// many were.
auto run_in_turn(std::vector<Path>& paths, const DemoOptions& options, ProgressLine& line) -> Result<std::size_t> {
  const MonoTime enough = SystemClock::instance().mono() + options.rounds_limit;
  std::size_t round = 0;
  for (; round <= options.rounds; ++round) {
    if (round > 1 && SystemClock::instance().mono() >= enough) break;
    for (Path& path : paths) {
      line.show(fmt::format("{}: page {} of {}", path.name, std::max<std::size_t>(round, 1), options.rounds));
      auto page = run_page(path.port, options.page, {.name = path.name});
      if (!page) return Failure(std::move(page).error());
      if (round > 0) path.pages.push_back(std::move(*page));
    }
  }
  return round - 1;
}

auto run_naive_page(std::uint16_t upstream_port, std::size_t queries, ProgressLine& line) -> Result<Series> {
  auto relay = NaiveRelay::start(upstream_port);
  if (!relay) return Failure(std::move(relay).error());
  line.show(fmt::format("naive relay: query 1 of {}", queries));
  auto series = run_page(relay->port(), queries,
                         {.name = "naive relay", .progress = [&](std::size_t done) {
                            line.show(fmt::format("naive relay: query {} of {}", std::min(done + 1, queries), queries));
                          }});
  if (auto stopped = relay->stop(); !stopped) return Failure(std::move(stopped).error());
  return series;
}

// Weir stands behind the naive relay, where it sees what that writes.
auto judge_naive_relay(const StartWeir& start_weir, std::uint16_t upstream_port, const DemoOptions& options,
                       ProgressLine& line) -> Result<std::string> {
  auto weir = start_weir(upstream_port, WeirView::why);
  if (!weir) return Failure(std::move(weir).error());
  if (auto page = run_naive_page((*weir)->port(), options.judged_queries, line); !page) {
    return Failure(std::move(page).error());
  }
  if (auto stopped = (*weir)->stop(); !stopped) return Failure(std::move(stopped).error());
  return (*weir)->stream_excerpt();
}

}  // namespace

auto run_demo(const StartWeir& start_weir, const DemoOptions& options) -> Result<DemoReport> {
  auto upstream = EmbeddedUpstream::start();
  if (!upstream) return Failure(std::move(upstream).error());
  auto weir = start_weir(upstream->port(), WeirView::none);
  if (!weir) return Failure(std::move(weir).error());
  auto viewed = start_weir(upstream->port(), WeirView::text);
  if (!viewed) return Failure(std::move(viewed).error());

  ProgressLine line(options.progress);
  std::vector<Path> paths{{RowKind::direct, "direct", upstream->port()},
                          {RowKind::weir, "Weir", (*weir)->port()},
                          {RowKind::weir, "Weir, text view", (*viewed)->port()}};
  const auto rounds = run_in_turn(paths, options, line);
  if (!rounds) return Failure(rounds.error());
  auto naive = run_naive_page(upstream->port(), std::min(options.naive_queries, options.page), line);
  if (!naive) return Failure(std::move(naive).error());
  auto verdict = judge_naive_relay(start_weir, upstream->port(), options, line);
  if (!verdict) return Failure(std::move(verdict).error());
  for (WeirUnderTest* used : {weir->get(), viewed->get()}) {
    if (auto stopped = used->stop(); !stopped) return Failure(std::move(stopped).error());
  }

  DemoReport report{.page = options.page,
                    .rounds = *rounds,
                    .stream_excerpt = (*viewed)->stream_excerpt(),
                    .verdict = *std::move(verdict),
                    .program = options.program};
  for (Path& path : paths) report.rows.push_back({path.kind, median_by_total(std::move(path.pages))});
  report.rows.insert(report.rows.begin() + 1, {RowKind::naive, std::move(*naive)});
  return report;
}

}  // namespace weir::demo
