#include "cli/why_report.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/duration.h"
#include "cli/api_command.h"
#include "cli/command.h"
#include "cli/terminal_width.h"
#include "cli/usage_error.h"
#include "control/diagnosis_json.h"
#include "diagnose/report.h"

namespace weir::cli {
namespace {

auto capture_json(const CaptureNotes& notes) -> Json {
  Json files = Json::array();
  for (const CaptureNotes::File& file : notes.files) {
    files.push_back({{"name", file.name}, {"packets", file.packets}, {"damage", file.damage}});
  }
  const record::CaptureCounts& counts = notes.counts;
  return {{"files", std::move(files)},     {"packets", counts.packets},
          {"bytes", counts.bytes},         {"not_tcp", counts.not_tcp},
          {"fragments", counts.fragments}, {"cut_packets", counts.cut},
          {"copies", counts.copies},       {"missed_bytes", counts.missed},
          {"unseen_bytes", counts.unseen}, {"evicted_connections", counts.evicted}};
}

// Did one pause last longer, for a cause other than the client's own?
auto is_too_slow(const diagnose::Report& report, Nanos limit) -> bool {
  return std::ranges::any_of(report.worst, [limit](const auto& verdict) { return verdict.length > limit; });
}

// On stdout; false: it could not be written.
auto print_report(const diagnose::Report& report, const WhyOutput& output, const CaptureNotes* capture) -> bool {
  switch (output.form) {
    case WhyForm::verdicts: break;
    case WhyForm::json: {
      Json told = control::report_json(report);
      if (capture != nullptr) told["capture"] = capture_json(*capture);
      if (output.before) told["compared"] = compare_json(*output.before, report);
      print_json(told);
      break;
    }
    case WhyForm::text: {
      constexpr std::size_t no_limit = 1 << 20;
      const std::size_t width = ::isatty(STDOUT_FILENO) == 1 ? terminal_size().columns : no_limit;
      auto lines = diagnose::report_lines(report, width);
      const auto add = [&lines](std::vector<std::string> more) { lines.insert(lines.end(), more.begin(), more.end()); };
      if (capture != nullptr) add(capture_lines(*capture));
      if (output.before) add(compare_lines(*output.before, report, width));
      for (const std::string& line : lines) fmt::print("{}\n", line);
    }
  }
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

}  // namespace

auto capture_lines(const CaptureNotes& notes) -> std::vector<std::string> {
  const auto counted = [](std::uint64_t number, const char* what) {
    return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
  };
  const record::CaptureCounts& counts = notes.counts;
  std::vector<std::string> lines{fmt::format("Read {} with {} of {}.", counted(notes.files.size(), "file"),
                                             counted(counts.packets, "packet"), format_size(counts.bytes))};
  const auto add = [&lines](std::uint64_t number, const std::string& line) {
    if (number > 0) lines.push_back(line);
  };
  for (const CaptureNotes::File& file : notes.files) {
    if (!file.damage.empty()) lines.push_back(fmt::format("{}: {}.", file.name, file.damage));
  }
  add(counts.not_tcp, counted(counts.not_tcp, "packet") + " of other protocols than TCP were passed over.");
  add(counts.fragments, counted(counts.fragments, "fragment") + " of IP packets were not put together.");
  add(counts.cut, counted(counts.cut, "packet") + " had headers that are cut off or damaged.");
  add(counts.copies, counted(counts.copies, "packet") + " had been captured before, on another interface.");
  add(counts.missed, fmt::format("{} were sent, as their ACK shows, and not captured.", format_size(counts.missed)));
  if (counts.unseen > counts.missed) {
    lines.push_back(fmt::format("Of {} the capture holds the length and not the text (tcpdump -s).",
                                format_size(counts.unseen - counts.missed)));
  }
  add(counts.evicted, counted(counts.evicted, "connection") +
                          " were given up for others, the longest idle ones, and count as ended there.");
  return lines;
}

auto make_output(const std::string& json, const std::string& compare, const std::string& fail_over)
    -> Result<WhyOutput> {
  WhyOutput output;
  if (json == "report") {
    output.form = WhyForm::json;
  } else if (json == "verdicts") {
    output.form = WhyForm::verdicts;
  } else if (!json.empty()) {
    return failure(fmt::format("--json={} is neither --json (the report) nor --json=verdicts", json));
  }
  if (!compare.empty()) {
    if (output.form == WhyForm::verdicts) return failure("--compare is for a report, not for --json=verdicts");
    auto before = in_option("--compare", read_earlier_report(compare));
    if (!before) return tl::make_unexpected(before.error());
    output.before = *std::move(before);
  }
  if (!fail_over.empty()) {
    const auto limit = in_option("--fail-over", parse_duration(fail_over));
    if (!limit) return tl::make_unexpected(limit.error());
    output.fail_over = *limit;
  }
  return output;
}

void tell_verdicts(const WhyOutput& output, diagnose::DiagnosisOptions& options) {
  if (output.form != WhyForm::verdicts) return;
  options.on_verdict = [](const diagnose::ToldVerdict& verdict) { print_json(control::verdict_json(verdict)); };
  options.flush = [] { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; };
}

auto finish(const diagnose::Report& report, const WhyOutput& output, const CaptureNotes* capture) -> int {
  if (!print_report(report, output, capture)) return complain("the report could not be written", exit_failure);
  return output.fail_over && is_too_slow(report, *output.fail_over) ? exit_slow : exit_ok;
}

}  // namespace weir::cli
