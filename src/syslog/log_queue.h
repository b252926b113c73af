// Messages on their way to one target: bounded, so that a target that takes nothing costs no more memory and
// holds nobody up.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>

#include "syslog/log_record.h"

namespace weir::syslog {

// First in, first out; the newest are dropped when it is full, and a message that says how many takes their
// place. Safe from every thread; no call waits for a target.
class LogQueue {
 public:
  explicit LogQueue(const Clock& clock, std::size_t most_messages = 4096, std::size_t most_bytes = 1024 * 1024)
      : clock_(clock), most_messages_(most_messages), most_bytes_(most_bytes) {}

  void push(LogRecord record);
  // The next one, if there is one.
  [[nodiscard]] auto take() -> std::optional<LogRecord>;
  // A message that was taken did not arrive.
  void count_lost(std::uint64_t messages);

  [[nodiscard]] auto size() const -> std::size_t;
  [[nodiscard]] auto dropped() const -> std::uint64_t;  // in all

 private:
  [[nodiscard]] auto drop_notice() -> LogRecord;  // under the mutex

  const Clock& clock_;
  const std::size_t most_messages_;
  const std::size_t most_bytes_;
  mutable std::mutex mutex_;
  std::deque<LogRecord> records_;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t untold_ = 0;  // of those, the ones that no message tells yet
};

}  // namespace weir::syslog
