#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "base/result.h"
#include "demo/series.h"

namespace weir::demo {

// What part a row plays: it chooses the colour, and `direct` is what the others are compared with.
enum class RowKind : unsigned char { direct, naive, weir };

struct ReportRow {
  RowKind kind = RowKind::direct;
  Series series;  // of fewer queries than the page if it was cut short: the total is then scaled
};

struct DemoReport {
  std::size_t page = 1000;        // queries of the page
  std::size_t rounds = 1;         // how often a page was run, the series being the median one; not said if 1
  std::vector<ReportRow> rows{};  // at least one; the first one is `direct`
  std::string stream_excerpt{};   // of the stream as a view shows it, control characters taken out; may be empty
  std::string verdict{};          // what weir why says of the naive relay, as lines; may be empty
  std::string program = "weir";   // what to type to run this program
};

struct ReportStyle {
  bool color = false;   // ANSI colours and bold
  bool unicode = true;  // block characters for the bars; else '#'
};

// The table, the excerpt, the verdict and what to type next, as lines of at most 80 columns (the excerpt's own
// lines are as they came; at most 16 of them are shown, and of the verdict).
[[nodiscard]] auto render_report(const DemoReport& report, const ReportStyle& style) -> std::string;

// Writes that to `out`. Error: the output took less, as a full disk or a closed pipe does.
[[nodiscard]] auto print_report(std::FILE* out, const DemoReport& report, const ReportStyle& style) -> Result<void>;

}  // namespace weir::demo
