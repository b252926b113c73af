#include "diagnose/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/duration.h"

namespace weir::diagnose {
namespace {

constexpr std::size_t rows_shown = 12;
constexpr std::size_t least_why = 40;  // columns; narrower, and it stands below its row

// "1,234,567"
auto grouped(std::uint64_t number) -> std::string {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), ",");
  }
  return text;
}

auto counted(std::uint64_t number, std::string_view what) -> std::string {
  return fmt::format("{} {}{}", grouped(number), what, number == 1 ? "" : "s");
}

auto share_text(Nanos part, Nanos whole) -> std::string {
  return whole <= Nanos{}
             ? "-"
             : fmt::format("{:.1f}%", 100.0 * static_cast<double>(part.count()) / static_cast<double>(whole.count()));
}

// What a peer sent, for a terminal: its line feeds and control characters would be obeyed there.
auto printable(std::string_view bytes) -> std::string {
  std::string text;
  for (const char c : bytes) {
    if (c >= ' ' && c < 0x7f && c != '%') {
      text += c;
    } else {
      text += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    }
  }
  return text;
}

// Adds `text` in lines of at most `width` columns, broken at blanks: the first behind what `line` holds, the others
// behind `indent` blanks.
void wrap(std::vector<std::string>& lines, std::string line, std::size_t indent, std::string_view text,
          std::size_t width) {
  bool is_empty = true;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    if (!is_empty && line.size() + 1 + word.size() > width) {
      lines.push_back(std::move(line));
      line = std::string(indent, ' ');
      is_empty = true;
    }
    if (!is_empty) line += ' ';
    line += word;
    is_empty = false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  lines.push_back(std::move(line));
}

auto cut_of(const CauseSum& sum) -> std::string {
  const ToldVerdict& verdict = sum.longest;
  const auto cut = std::ranges::find(verdict.evidence, "cut", &Evidence::name);
  if (cut == verdict.evidence.end()) return "";
  return fmt::format("; the cut is after byte {}: \"{}|{}\"", cut->value, printable(verdict.text_before),
                     printable(verdict.text_behind));
}

void add_row(std::vector<std::string>& lines, const CauseSum& sum, const Report& report, std::size_t width) {
  constexpr std::size_t indent = 12;
  const Nanos p50 = sum.lengths.percentile(0.5);
  const Nanos p99 = sum.lengths.percentile(0.99);
  std::string row = fmt::format("{:>8} {:>8} {:>8}  {:<24}  ", format_duration(sum.lost),
                                share_text(sum.lost, report.exchange_time), grouped(sum.times), sum.who);
  std::string why = fmt::format("{}: {}", sum.cause->name, sum.longest.text);
  if (sum.longest.text.empty())
    why = fmt::format("{}: took less than {} each time", sum.cause->name, format_duration(least_pause));
  if (sum.cause == &think_cause) why = "think: took its time to answer";
  if (!sum.towards.empty()) why += "; towards " + sum.towards;
  if (row.size() + least_why <= width) {
    const std::size_t at = row.size();
    wrap(lines, std::move(row), at, why, width);
  } else {
    row.erase(row.find_last_not_of(' ') + 1);
    lines.push_back(std::move(row));
    wrap(lines, std::string(indent, ' '), indent, why, width);
  }
  const std::string proof = sum.proof.empty() ? "" : ": " + sum.proof;
  wrap(lines, std::string(indent, ' '), indent,
       fmt::format("{}{}; p50 {}, p99 {}", to_string(sum.certainty), proof, format_duration(p50), format_duration(p99)),
       width);
  if (!sum.longest.fix.empty()) {
    wrap(lines, std::string(indent, ' '), indent, "fix: " + sum.longest.fix + cut_of(sum), width);
  }
}

}  // namespace

auto report_lines(const Report& report, std::size_t width) -> std::vector<std::string> {
  std::vector<std::string> lines;
  const std::string unanswered =
      report.unanswered > 0 ? " and " + counted(report.unanswered, "unanswered request") : std::string();
  std::string head = fmt::format("{}, {}{} in {}", counted(report.sessions, "session"),
                                 counted(report.exchanges, "exchange"), unanswered, format_duration(report.span));
  if (!report.causes.empty()) {
    head += fmt::format("; {} of their time was lost to one cause",
                        share_text(report.causes.front().lost, report.exchange_time));
  }
  wrap(lines, "", 0, head, width);
  if (!report.causes.empty()) {
    std::string heads = fmt::format("{:>8} {:>8} {:>8}  {:<24}  ", "lost", "share", "times", "who");
    const bool has_why = heads.size() + least_why <= width;
    heads = has_why ? heads + "why" : heads.substr(0, heads.find_last_not_of(' ') + 1);
    lines.push_back(std::move(heads));
  }
  for (const CauseSum& sum : std::span(report.causes).first(std::min(report.causes.size(), rows_shown))) {
    add_row(lines, sum, report, width);
  }
  if (report.causes.size() > rows_shown) {
    lines.push_back(fmt::format("and {}, in --json", counted(report.causes.size() - rows_shown, "smaller cause")));
  }
  if (report.idle > Nanos{}) {
    wrap(lines, "", 0,
         fmt::format("Between exchanges the clients sent nothing for {}, which is in no share.",
                     format_duration(report.idle)),
         width);
  }
  if (report.looks_skipped > 0) {
    wrap(lines, "", 0,
         fmt::format("{} at peers' own sockets were left out, as there were too many.",
                     counted(report.looks_skipped, "look")),
         width);
  }
  if (report.missed > 0) {
    wrap(
        lines, "", 0,
        fmt::format("{} were not seen, as Weir was too busy: the sums are too small.", counted(report.missed, "event")),
        width);
  }
  return lines;
}

}  // namespace weir::diagnose
