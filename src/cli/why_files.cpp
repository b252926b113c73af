#include "cli/why_files.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "cli/command.h"
#include "cli/why_report.h"
#include "diagnose/diagnosis.h"
#include "record/capture_file.h"
#include "record/capture_reader.h"

namespace weir::cli {
namespace {

// A signal ends the reading, and what was read is told; the second one ends the program.
class EndOfReading {
 public:
  EndOfReading() {
    ::sigemptyset(&signals_);
    ::sigaddset(&signals_, SIGINT);
    ::sigaddset(&signals_, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    came_.reset(::signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!came_) ::pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
  }

  // Waits until the descriptor can be read; false: the reading has ended. -1: only looks.
  auto wait(int descriptor) -> bool {
    while (!is_over()) {
      std::array<pollfd, 2> ends{{{came_.get(), POLLIN, 0}, {descriptor, POLLIN, 0}}};
      if (::poll(ends.data(), ends.size(), descriptor < 0 ? 0 : milliseconds_left()) < 0 && errno != EINTR) return true;
      if (ends[0].revents != 0) note();
      if (ends[1].revents != 0 || descriptor < 0) return true;
    }
    return false;
  }
  [[nodiscard]] auto is_over() const -> bool { return end_ && SystemClock::instance().mono() >= *end_; }

 private:
  // Ctrl-C ends tcpdump, on the other end of a pipe, as well: what it writes at its end is still read, for so long.
  static constexpr Nanos grace = std::chrono::seconds{1};

  void note() {
    signalfd_siginfo which{};
    (void)!::read(came_.get(), &which, sizeof which);  // else it would end the program now
    came_.reset();
    end_ = SystemClock::instance().mono() + grace;
    for (const int each : {SIGINT, SIGTERM}) ::signal(each, SIG_DFL);
    ::pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
  }
  [[nodiscard]] auto milliseconds_left() const -> int {
    if (!end_) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*end_ - SystemClock::instance().mono());
    return std::max(0, static_cast<int>(left.count()));
  }

  sigset_t signals_{};
  Fd came_;  // none: a signal has come
  std::optional<MonoTime> end_;
};

auto notes_of(const record::CaptureFiles& captures, const record::CaptureReader& reader, bool was_ended)
    -> CaptureNotes {
  CaptureNotes notes{.files = {}, .counts = reader.counts()};
  for (const record::CaptureFile& file : captures.files()) {
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
  EndOfReading end;
  auto captures = record::CaptureFiles::open(files.names, [&end](int descriptor) { return end.wait(descriptor); });
  if (!captures) return complain(captures.error().message, exit_failure);
  diagnose::DiagnosisOptions options;
  tell_verdicts(files.output, options);
  diagnose::Diagnosis diagnosis(std::move(options));
  record::CaptureReader reader(diagnosis, diagnose::required_events());
  constexpr std::uint64_t looks_after = 1024;  // packets
  for (std::uint64_t packets = 0; packets % looks_after != 0 || end.wait(-1); ++packets) {
    const auto next = captures->next();
    if (!next) break;
    reader.take(next->link, next->packet.time, next->packet.bytes, next->packet.wire_length);
  }
  reader.end();
  diagnosis.on_end();
  const CaptureNotes notes = notes_of(*captures, reader, end.is_over());
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
