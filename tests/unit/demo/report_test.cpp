#include "demo/report.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

namespace weir::demo {
namespace {

using namespace std::chrono_literals;

auto row(RowKind kind, const char* name, std::size_t queries, Nanos each, Nanos slowest) -> ReportRow {
  ReportRow made{.kind = kind, .series = {.name = name}};
  made.series.per_query.assign(queries, each);
  made.series.per_query.back() = slowest;
  return made;
}

auto example() -> DemoReport {
  return {.page = 1000,
          .rounds = 9,
          .rows = {row(RowKind::direct, "direct", 1000, 40us, 40us), row(RowKind::naive, "naive relay", 80, 88ms, 88ms),
                   row(RowKind::weir, "Weir", 1000, 60us, 1060us)},
          .stream_excerpt = "session 1 opened\nSELECT 1\n",
          .verdict = "40.0ms lost to split_write\n"};
}

TEST(Report, IsATableWithItsLegendAnExcerptAndWhatToTypeNext) {
  EXPECT_EQ(render_report(example(), {.color = false, .unicode = true}),
            R"(1,000 queries of 296 bytes, one after the other on one connection

                     page per query      p50      p99 to direct
direct             40.0ms    40.0us   40.0us   40.0us      1.0x  █
naive relay *       88.0s    88.0ms   88.0ms   88.0ms    2,200x  ████████████▏
Weir               61.0ms    61.0us   60.0us   60.0us      1.5x  █▋

Bars: each further block is twice the time.
Each page was run 9 times, in turn; shown is the one of median total.
* measured on 80 queries, which took 7.04s, and scaled to 1,000.

The naive relay reads 128 bytes at a time and sleeps nowhere. Its second write
of a query waits until the first is acknowledged (Nagle's algorithm), and the
other side's kernel delays that by 40 ms. The reply goes the same way back.
Weir sets TCP_NODELAY on both sides, always.

The stream, as weir tap shows it:
  session 1 opened
  SELECT 1

What weir why says, next to the naive relay:
  40.0ms lost to split_write

What to type next:
  weir tap 8888 localhost:5432
      then point the application at port 8888 instead of 5432
  weir tap --show hex 8888 localhost:5432
      every byte; also dump, json, raw and none
  weir why 8888 localhost:5432
      who loses the time, why, and what to change
  weir tap --show json -o stream.jsonl 8888 localhost:6379
      one JSON object a line, for jq
  weir tap --help
      all options and timeouts, with their defaults
)");
}

// Line by line, for tests of one part.
auto rendered_lines(const DemoReport& report, const ReportStyle& style) -> std::vector<std::string> {
  std::istringstream text(render_report(report, style));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

TEST(Report, DrawsBarsOfPlainCharactersWhereThereAreNoOthers) {
  const auto lines = rendered_lines(example(), {.color = false, .unicode = false});
  EXPECT_EQ(lines[3], "direct             40.0ms    40.0us   40.0us   40.0us      1.0x  #");
  EXPECT_EQ(lines[4], "naive relay *       88.0s    88.0ms   88.0ms   88.0ms    2,200x  ############");
  EXPECT_EQ(lines[5], "Weir               61.0ms    61.0us   60.0us   60.0us      1.5x  ##");
}

TEST(Report, ColoursOnlyWhenTold) {
  const auto lines = rendered_lines(example(), {.color = true, .unicode = false});
  EXPECT_EQ(lines[4], "naive relay *       88.0s    88.0ms   88.0ms   88.0ms    2,200x  \x1b[31m############\x1b[0m");
  EXPECT_EQ(lines[5],
            "\x1b[1mWeir               61.0ms    61.0us   60.0us   60.0us      1.5x\x1b[0m  \x1b[32m##\x1b[0m");
  EXPECT_THAT(render_report(example(), {.color = false, .unicode = true}), testing::Not(testing::HasSubstr("\x1b")));
}

TEST(Report, SaysNothingOfScalingRoundsOrTheRelayWhereThereWereNone) {
  const DemoReport direct_only{.page = 10, .rows = {row(RowKind::direct, "direct", 10, 40us, 90us)}};
  const auto lines = rendered_lines(direct_only, {.color = false, .unicode = false});
  EXPECT_THAT(std::vector<std::string>(lines.begin(), lines.begin() + 8),
              testing::ElementsAre("10 queries of 296 bytes, one after the other on one connection", "",
                                   "                     page per query      p50      p99 to direct",
                                   "direct              450us    45.0us   40.0us   90.0us      1.0x  #", "",
                                   "Bars: each further block is twice the time.", "", "What to type next:"));
}

TEST(Report, APathFasterThanDirectHasAShorterBarButOneThatIsSeen) {
  const DemoReport report{
      .page = 10,
      .rows = {row(RowKind::direct, "direct", 10, 40us, 40us), row(RowKind::weir, "Weir", 10, 20us, 20us),
               row(RowKind::weir, "Weir", 10, 1ns, 1ns)}};
  const auto lines = rendered_lines(report, {.color = false, .unicode = true});
  EXPECT_THAT(lines[4], testing::EndsWith("      0.5x  ▌"));
  EXPECT_THAT(lines[5], testing::EndsWith("      0.0x  ▏"));
}

TEST(Report, ShowsTheBeginningOfALongStream) {
  DemoReport report = example();
  report.stream_excerpt.clear();
  for (int line = 1; line <= 17; ++line) report.stream_excerpt += fmt::format("line {}\n", line);
  const std::string text = render_report(report, {});
  EXPECT_THAT(text, testing::HasSubstr("  line 16\n  ...\n\nWhat weir why says"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("line 17")));
}

TEST(Report, NamesTheProgramAsItWasCalled) {
  DemoReport report = example();
  report.program = "./build/release/weir";
  EXPECT_THAT(render_report(report, {}), testing::HasSubstr("\n  ./build/release/weir tap 8888 localhost:5432\n"));
}

TEST(Report, AnOutputThatTakesNoMoreIsAnError) {
  std::FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  const auto printed = print_report(full, example(), {});
  std::fclose(full);
  ASSERT_FALSE(printed);
  EXPECT_EQ(printed.error().message, "write the report: No space left on device");
}

}  // namespace
}  // namespace weir::demo
