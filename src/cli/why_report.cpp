#include "cli/why_report.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/duration.h"
#include "cli/api_command.h"
#include "cli/terminal_width.h"
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

}  // namespace

auto is_too_slow(const diagnose::Report& report, Nanos limit) -> bool {
  return std::ranges::any_of(report.worst, [limit](const auto& verdict) { return verdict.length > limit; });
}

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

auto print_report(const diagnose::Report& report, bool json, const CaptureNotes* capture) -> bool {
  if (json) {
    Json told = control::report_json(report);
    if (capture != nullptr) told["capture"] = capture_json(*capture);
    print_json(told);
  } else {
    constexpr std::size_t no_limit = 1 << 20;
    const std::size_t width = ::isatty(STDOUT_FILENO) == 1 ? terminal_size().columns : no_limit;
    for (const std::string& line : diagnose::report_lines(report, width)) fmt::print("{}\n", line);
    if (capture != nullptr) {
      for (const std::string& line : capture_lines(*capture)) fmt::print("{}\n", line);
    }
  }
  return std::fflush(stdout) == 0;
}

}  // namespace weir::cli
