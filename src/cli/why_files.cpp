#include "cli/why_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <string_view>

#include "cli/command.h"
#include "cli/why_report.h"
#include "diagnose/diagnosis.h"
#include "record/capture_file.h"
#include "record/capture_reader.h"

namespace weir::cli {
namespace {

volatile std::sig_atomic_t ends = 0;

// Ctrl-C ends tcpdump, on the other end of a pipe, as well: what it writes at its end is still read, for so long.
constexpr unsigned grace_seconds = 1;

void on_time(int /*signal*/) {
  ends = 1;
  ::alarm(grace_seconds);  // again, if the reading had only been about to begin
}
void on_end(int /*signal*/) { ::alarm(grace_seconds); }

// A signal ends the reading, and what was read is told; the second of its kind ends the program.
void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_end;
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = on_time;
  action.sa_flags = 0;  // it interrupts a read that waits
  ::sigaction(SIGALRM, &action, nullptr);
}

auto notes_of(const record::CaptureFiles& captures, const record::CaptureReader& reader) -> CaptureNotes {
  CaptureNotes notes{.files = {}, .counts = reader.counts()};
  for (const record::CaptureFile& file : captures.files()) {
    const bool was_ended = ends != 0;
    notes.files.push_back({file.name(), file.packets(), was_ended ? "a signal ended the reading" : file.damage()});
  }
  return notes;
}

}  // namespace

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
  catch_signals();
  auto captures = record::CaptureFiles::open(files.names);
  if (!captures) return complain(captures.error().message, exit_failure);
  diagnose::DiagnosisOptions options;
  tell_verdicts(files.output, options);
  diagnose::Diagnosis diagnosis(std::move(options));
  record::CaptureReader reader(diagnosis, diagnose::required_events());
  while (ends == 0) {
    const auto next = captures->next();
    if (!next) break;
    reader.take(next->link, next->packet.time, next->packet.bytes, next->packet.wire_length);
  }
  ::alarm(0);
  reader.end();
  diagnosis.on_end();
  const CaptureNotes notes = notes_of(*captures, reader);
  bool is_damaged = false;
  for (const CaptureNotes::File& file : notes.files) {
    if (file.damage.empty()) continue;
    is_damaged = true;
    complain(fmt::format("{}: {}", file.name, file.damage), exit_ok);
  }
  if (is_damaged && notes.counts.packets == 0) return exit_failure;
  return finish(diagnosis.report(), files.output, &notes);
}

}  // namespace weir::cli
