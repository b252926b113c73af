// Weir's own log: every message to every target that takes its level.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "syslog/log_sink.h"

namespace weir::syslog {

struct LogSettings {
  LogLevel level = LogLevel::info;
  LineFormat format = LineFormat::text;  // of stderr, stdout and files
  bool with_time = false;                // text on stderr and stdout has it too
  std::vector<Target> targets{Target{.text = "stderr"}};
  [[nodiscard]] static auto parse_targets(const std::vector<std::string>& texts) -> Result<std::vector<Target>>;
};

// The log as one source chooses it - a command line, a file. What is absent is somebody else's to say.
struct LogChoice {
  std::optional<LogLevel> level;
  std::optional<LineFormat> format;
  std::optional<std::vector<Target>> targets;
};
// The first choice, where it says nothing the second, and then: info, text, stderr. `quiet`: stderr takes
// errors only.
[[nodiscard]] auto settle(const LogChoice& first, const LogChoice& second, bool quiet = false) -> LogSettings;

// Every call from every thread; none waits for a target but flush() and the destructor, which wait a bounded
// time. `clock` outlives it.
class TargetLog final : public Log {
 public:
  explicit TargetLog(const Clock& clock = SystemClock::instance()) : clock_(clock) {}

  // Puts other settings in force: a target that is in both keeps its queue and its connection. An Error, and
  // nothing is changed, if a file cannot be opened.
  [[nodiscard]] auto configure(const LogSettings& settings) -> Result<void>;
  void write(LogLevel level, std::string_view message, std::span<const LogField> fields) override;
  [[nodiscard]] auto wants(LogLevel level) const -> bool override;
  // Opens the files again.
  void reopen();
  // Waits until all is sent, at most so long.
  void flush(Nanos patience);
  [[nodiscard]] auto status() const -> std::vector<SinkStatus>;
  [[nodiscard]] auto settings() const -> LogSettings;

 private:
  void queue(LogLevel level, std::string_view message, std::span<const LogField> fields);
  const Clock& clock_;
  mutable std::mutex mutex_;
  LogSettings settings_{.targets = {}};
  std::vector<std::shared_ptr<LogSink>> sinks_;
};

}  // namespace weir::syslog
