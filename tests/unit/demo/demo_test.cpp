#include "demo/demo.h"

#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "demo/embedded_upstream.h"

namespace weir::demo {
namespace {

// What the fakes of one test have seen.
struct Seen {
  std::vector<WeirView> started;
  int stopped = 0;
};

// A Weir that is not there: its port is the upstream's own.
class NoWeir final : public WeirUnderTest {
 public:
  NoWeir(Seen& seen, std::uint16_t port, WeirView view) : seen_(seen), port_(port), view_(view) {
    seen_.started.push_back(view);
  }
  [[nodiscard]] auto port() const -> std::uint16_t override { return port_; }
  auto stop() -> Result<void> override {
    ++seen_.stopped;
    return {};
  }
  [[nodiscard]] auto stream_excerpt() const -> std::string override {
    switch (view_) {
      case WeirView::none: return "";
      case WeirView::text: return "a line of the stream\n";
      case WeirView::why: return "whose fault it is\n";
    }
    return "";
  }

 private:
  Seen& seen_;
  std::uint16_t port_;
  WeirView view_;
};

auto starting_no_weir(Seen& seen) -> StartWeir {
  return [&seen](std::uint16_t upstream_port, WeirView view) -> Result<std::unique_ptr<WeirUnderTest>> {
    return std::make_unique<NoWeir>(seen, upstream_port, view);
  };
}

const DemoOptions small{
    .page = 20, .naive_queries = 3, .judged_queries = 3, .rounds = 2, .rounds_limit = std::chrono::minutes(1)};

TEST(RunDemo, ReportsAPageOnEachPath) {
  Seen seen;
  const auto report = run_demo(starting_no_weir(seen), small);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->page, 20U);
  EXPECT_EQ(report->rounds, 2U);
  EXPECT_EQ(report->stream_excerpt, "a line of the stream\n");
  EXPECT_EQ(report->verdict, "whose fault it is\n");
  std::vector<std::pair<std::string, std::size_t>> rows;
  for (const ReportRow& row : report->rows) rows.emplace_back(row.series.name, row.series.queries());
  using Row = std::pair<std::string, std::size_t>;
  EXPECT_THAT(rows, testing::ElementsAre(Row{"direct", 20U}, Row{"naive relay", 3U}, Row{"Weir", 20U},
                                         Row{"Weir, text view", 20U}));
  EXPECT_THAT(seen.started, testing::ElementsAre(WeirView::none, WeirView::text, WeirView::why));
  EXPECT_EQ(seen.stopped, 3);
}

TEST(RunDemo, BeginsNoFurtherRoundOnceTheTimeForThemIsOver) {
  Seen seen;
  DemoOptions options = small;
  options.rounds = 1000;
  options.rounds_limit = {};
  const auto report = run_demo(starting_no_weir(seen), options);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->rounds, 1U);
}

TEST(RunDemo, ShowsItsProgressOnOneLineAndTakesItAway) {
  Seen seen;
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* terminal = ::open_memstream(&text, &size);
  DemoOptions options = small;
  options.progress = terminal;
  ASSERT_TRUE(run_demo(starting_no_weir(seen), options));
  std::fclose(terminal);
  const std::string shown(text, size);
  std::free(text);
  EXPECT_THAT(shown, testing::HasSubstr("\r\x1b[Knaive relay: query 3 of 3"));
  EXPECT_THAT(shown, testing::HasSubstr("\r\x1b[KWeir: page 2 of 2"));
  EXPECT_THAT(shown, testing::EndsWith("\r\x1b[K"));
  EXPECT_THAT(shown, testing::Not(testing::HasSubstr("\n")));
}

TEST(RunDemo, SaysWhyWeirDidNotStart) {
  const auto report = run_demo(
      [](std::uint16_t, WeirView) -> Result<std::unique_ptr<WeirUnderTest>> { return failure("no descriptor left"); },
      small);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().message, "no descriptor left");
}

TEST(RunDemo, NamesThePathThatFailed) {
  auto gone = EmbeddedUpstream::start().value();
  ASSERT_TRUE(gone.stop());
  Seen seen;
  const auto report = run_demo(
      [&](std::uint16_t, WeirView view) -> Result<std::unique_ptr<WeirUnderTest>> {
        return std::make_unique<NoWeir>(seen, gone.port(), view);
      },
      small);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, testing::StartsWith("Weir, 127.0.0.1:"));
  EXPECT_THAT(report.error().message, testing::EndsWith("Connection refused"));
}

}  // namespace
}  // namespace weir::demo
