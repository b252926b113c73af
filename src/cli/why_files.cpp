#include "cli/why_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "cli/command.h"
#include "cli/why_report.h"
#include "diagnose/diagnosis.h"
#include "record/capture_file.h"
#include "record/capture_reader.h"

namespace weir::cli {

auto is_capture_word(const std::string& word) -> bool {
  if (word == "-") return true;
  if (std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; })) return false;
  if (struct stat status{}; ::stat(word.c_str(), &status) == 0) return !S_ISSOCK(status.st_mode);
  constexpr std::array<std::string_view, 5> endings{".pcap", ".pcapng", ".cap", ".dmp", ".gz"};
  return std::ranges::any_of(endings, [&word](std::string_view end) { return word.ends_with(end); }) ||
         (word.find('/') != std::string::npos && word.find(':') == std::string::npos);
}

auto run_why_files(const WhyFiles& files) -> int {
  if (std::ranges::count(files.names, "-") > 1) return complain("- (stdin) can be read once only", exit_usage);
  auto captures = record::CaptureFiles::open(files.names);
  if (!captures) return complain(captures.error().message, exit_failure);
  diagnose::DiagnosisOptions options;
  tell_verdicts(files.output, options);
  diagnose::Diagnosis diagnosis(std::move(options));
  record::CaptureReader reader(diagnosis, diagnose::required_events());
  while (const auto next = captures->next()) {
    reader.take(next->link, next->packet.time, next->packet.bytes, next->packet.wire_length);
  }
  reader.end();
  CaptureNotes notes{.files = {}, .counts = reader.counts()};
  for (const record::CaptureFile& file : captures->files()) {
    notes.files.push_back({file.name(), file.packets(), file.damage()});
    if (!file.damage().empty()) complain(fmt::format("{}: {}", file.name(), file.damage()), exit_ok);
  }
  const bool all_damaged = notes.counts.packets == 0 &&
                           std::ranges::any_of(notes.files, [](const auto& file) { return !file.damage.empty(); });
  if (all_damaged) return exit_failure;
  return finish(diagnosis.report(), files.output, &notes);
}

}  // namespace weir::cli
