// Brings messages from a queue to an output, through outages.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "syslog/log_output.h"
#include "syslog/log_queue.h"

namespace weir::syslog {

// What a target's thread does, without the thread: turns of work, in between of which it waits until something
// is in the queue or it is time to try again. Time is the clock's, so that tests can turn it.
//
//   down --open--> up --send failed--> down, and tried again after 100 ms, 200 ms ... 30 s
class LogDelivery {
 public:
  // `write` turns a record into what the output sends. `on_outage` is called once when an outage begins.
  using Write = std::function<std::string(const LogRecord&)>;
  using OnOutage = std::function<void(const std::string& why)>;
  LogDelivery(LogQueue& queue, LogOutput& output, const Clock& clock, Write write, OnOutage on_outage)
      : queue_(queue),
        output_(output),
        clock_(clock),
        write_(std::move(write)),
        on_outage_(std::move(on_outage)),
        retry_at_(clock.mono()) {}

  // Sends all that is there. Returns when to come back at the latest; none: when there is something new.
  auto turn() -> std::optional<MonoTime>;
  // The last turn: tries once more even where it is not yet time, then leaves what is left.
  void last_turn();
  // Closes the output and opens it anew with the next turn: its file was moved away.
  void reopen();

  [[nodiscard]] auto is_up() const -> bool { return up_; }
  [[nodiscard]] auto sent() const -> std::uint64_t { return sent_; }
  [[nodiscard]] auto trouble() const -> const std::string& { return trouble_; }  // of the outage; empty: none
  [[nodiscard]] auto is_holding() const -> bool { return current_.has_value(); }

  static constexpr Nanos shortest_wait = std::chrono::milliseconds{100};
  static constexpr Nanos longest_wait = std::chrono::seconds{30};

 private:
  void failed(const Error& error);

  LogQueue& queue_;
  LogOutput& output_;
  const Clock& clock_;
  Write write_;
  OnOutage on_outage_;
  std::optional<LogRecord> current_;  // taken, not yet sent
  MonoTime retry_at_;
  Nanos wait_ = shortest_wait;
  bool up_ = false;
  std::uint64_t sent_ = 0;
  std::string trouble_;
};

}  // namespace weir::syslog
