// A log target with its queue and its thread.
#pragma once

#include <memory>
#include <string>

#include "syslog/log_record.h"

namespace weir::syslog {

// How a target fares, for whoever shows it.
struct SinkStatus {
  std::string target;
  bool up = false;
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;
  std::uint64_t waiting = 0;
  std::string trouble;  // why it is down; empty: it is not
};

// Takes messages from every thread and never waits for the target: a thread of its own does, one per target, so
// that a target that hangs holds up neither Weir nor the others. A thread, not the control thread's loop: a
// disk, a terminal and getaddrinfo(3) know no way of waiting but blocking.
class LogSink {
 public:
  // A target that is the journal gets no time, whatever the style says. Throws std::system_error if the system has no
  // thread for it.
  LogSink(const Target& target, const LineStyle& style, const Clock& clock);
  // Gives what is queued half a second to get out, then interrupts; a thread that even then does not end, as
  // in a lookup, is left to itself.
  ~LogSink();
  LogSink(const LogSink&) = delete;
  auto operator=(const LogSink&) -> LogSink& = delete;

  void push(LogRecord record);
  // Messages for which there was no memory.
  void count_lost(std::uint64_t messages);
  // Closes the file and opens it again, as after logrotate moved it.
  void reopen();
  // Waits until all that was pushed is sent, at most so long. False: some is not.
  auto flush(Nanos patience) -> bool;
  [[nodiscard]] auto status() const -> SinkStatus;
  [[nodiscard]] auto target() const -> const Target&;
  [[nodiscard]] auto style() const -> const LineStyle&;  // as it was asked for

  static constexpr Nanos patience_at_end = std::chrono::milliseconds{500};

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace weir::syslog
