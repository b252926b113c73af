#include "demo/report.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <iterator>
#include <string_view>

#include "base/duration.h"
#include "demo/naive_relay.h"
#include "demo/workload.h"

namespace weir::demo {
namespace {

constexpr std::size_t excerpt_lines = 16;
constexpr std::string_view bold = "\x1b[1m";
constexpr std::string_view plain = "\x1b[0m";

auto color_of(RowKind kind) -> std::string_view {
  switch (kind) {
    case RowKind::direct: return "";
    case RowKind::naive: return "\x1b[31m";
    case RowKind::weir: return "\x1b[32m";
  }
  return "";
}

auto painted(std::string_view text, std::string_view color, const ReportStyle& style) -> std::string {
  if (!style.color || color.empty()) return std::string(text);
  return fmt::format("{}{}{}", color, text, plain);
}

// 1000 -> "1,000"
auto grouped(std::size_t number) -> std::string {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return text;
}

auto is_scaled(const ReportRow& row, const DemoReport& report) -> bool { return row.series.queries() < report.page; }

auto page_total(const ReportRow& row, const DemoReport& report) -> Nanos {
  if (!is_scaled(row, report)) return row.series.total();
  return row.series.mean() * static_cast<Nanos::rep>(report.page);
}

auto ratio_text(double ratio) -> std::string {
  return ratio < 9.95 ? fmt::format("{:.1f}x", ratio) : grouped(static_cast<std::size_t>(std::llround(ratio))) + "x";
}

// One block for the direct page, and one more for every doubling. A linear bar on which the naive
// relay fits in a line shows nothing at all of the others: they are a thousandth of it.
auto bar(double ratio, const ReportStyle& style) -> std::string {
  const double blocks = ratio <= 1 ? ratio : 1 + std::log2(ratio);
  if (!style.unicode) return std::string(static_cast<std::size_t>(std::max(1L, std::lround(blocks))), '#');
  constexpr std::string_view eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto count = static_cast<std::size_t>(std::max(1L, std::lround(blocks * 8)));
  std::string text;
  for (std::size_t i = 0; i < count / 8; ++i) text += "█";
  text += eighths[count % 8];
  return text;
}

void add_row(std::string& out, const ReportRow& row, const DemoReport& report, const ReportStyle& style) {
  const auto direct = static_cast<double>(page_total(report.rows.front(), report).count());
  const auto own = static_cast<double>(page_total(row, report).count());
  const double ratio = direct > 0 ? own / direct : 1;
  const std::string name = row.series.name + (is_scaled(row, report) ? " *" : "");
  const std::string figures =
      fmt::format("{:<16}{:>9}{:>10}{:>9}{:>9}{:>10}", name, format_duration(page_total(row, report)),
                  format_duration(row.series.mean()), format_duration(row.series.percentile(50)),
                  format_duration(row.series.percentile(99)), ratio_text(ratio));
  out += fmt::format("{}  {}\n", painted(figures, row.kind == RowKind::weir ? bold : "", style),
                     painted(bar(ratio, style), color_of(row.kind), style));
}

void add_table(std::string& out, const DemoReport& report, const ReportStyle& style) {
  out += fmt::format("{} queries of {} bytes, one after the other on one connection\n\n", grouped(report.page),
                     query_size);
  out += fmt::format("{:<16}{:>9}{:>10}{:>9}{:>9}{:>10}\n", "", "page", "per query", "p50", "p99", "to direct");
  for (const ReportRow& row : report.rows) add_row(out, row, report, style);
  out += "\nBars: each further block is twice the time.\n";
  if (report.rounds > 1) {
    out += fmt::format("Each page was run {} times, in turn; shown is the one of median total.\n", report.rounds);
  }
  for (const ReportRow& row : report.rows) {
    if (!is_scaled(row, report)) continue;
    out += fmt::format("* measured on {} queries, which took {}, and scaled to {}.\n", row.series.queries(),
                       format_duration(row.series.total()), grouped(report.page));
  }
}

void add_story(std::string& out, const DemoReport& report) {
  const auto is_naive = [](const ReportRow& row) { return row.kind == RowKind::naive; };
  if (std::none_of(report.rows.begin(), report.rows.end(), is_naive)) return;
  out += fmt::format(
      "\nThe naive relay reads {} bytes at a time and sleeps nowhere. Its second write\n"
      "of a query waits until the first is acknowledged (Nagle's algorithm), and the\n"
      "other side's kernel delays that by 40 ms. The reply goes the same way back.\n"
      "Weir sets TCP_NODELAY on both sides, always.\n",
      naive_read_size);
}

void add_excerpt(std::string& out, std::string_view title, std::string_view rest, const ReportStyle& style) {
  if (rest.empty()) return;
  out += fmt::format("\n{}\n", painted(title, bold, style));
  for (std::size_t line = 0; line < excerpt_lines && !rest.empty(); ++line) {
    const auto end = rest.find('\n');
    out += fmt::format("  {}\n", rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  if (!rest.empty()) out += "  ...\n";
}

void add_next_steps(std::string& out, const DemoReport& report, const ReportStyle& style) {
  out += fmt::format("\n{}\n", painted("What to type next:", bold, style));
  const auto step = [&](std::string_view arguments, std::string_view what) {
    out += fmt::format("  {} {}\n      {}\n", report.program, arguments, what);
  };
  step("tap 8888 localhost:5432", "then point the application at port 8888 instead of 5432");
  step("tap --show hex 8888 localhost:5432", "every byte; also dump, json, raw and none");
  step("why 8888 localhost:5432", "who loses the time, why, and what to change");
  step("tap --show json -o stream.jsonl 8888 localhost:6379", "one JSON object a line, for jq");
  step("tap --help", "all options and timeouts, with their defaults");
}

}  // namespace

auto render_report(const DemoReport& report, const ReportStyle& style) -> std::string {
  std::string out;
  add_table(out, report, style);
  add_story(out, report);
  add_excerpt(out, "The stream, as weir tap shows it:", report.stream_excerpt, style);
  add_excerpt(out, "What weir why says, next to the naive relay:", report.verdict, style);
  add_next_steps(out, report, style);
  return out;
}

auto print_report(std::FILE* out, const DemoReport& report, const ReportStyle& style) -> Result<void> {
  const std::string text = render_report(report, style);
  if (std::fwrite(text.data(), 1, text.size(), out) == text.size() && std::fflush(out) == 0) return {};
  return failure("write the report: " + errno_text(errno), errno);
}

}  // namespace weir::demo
