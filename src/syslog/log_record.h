// One message of Weir's own log, and how each kind of target writes it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "syslog/target.h"

namespace weir::syslog {

struct LogRecord {
  WallTime time{};
  LogLevel level = LogLevel::info;
  std::string message;
  std::vector<std::pair<std::string, std::string>> fields{};
  bool tells_of_drops = false;                     // the queue's own word
  [[nodiscard]] auto size() const -> std::size_t;  // bytes of text
};

// Who speaks: what a syslog header names.
struct Speaker {
  std::string app = "weir";
  std::string host{};
  std::string procid{};
  [[nodiscard]] static auto this_process() -> Speaker;
};

// As the target has it on the wire or in the file, with its framing or newline. Bounded: a message longer than
// the target's usual limit is cut. Nothing in the message can begin another line or a terminal sequence.
[[nodiscard]] auto written(const LogRecord& record, const Target& target, LineFormat format, const Speaker& speaker)
    -> std::string;

// The most bytes of a message: what receivers take at least or by default.
inline constexpr std::size_t longest_rfc3164 = 1024;   // RFC 3164 section 4.1
inline constexpr std::size_t longest_datagram = 2048;  // RFC 5426 section 3.2
inline constexpr std::size_t longest_message = 8096;   // rsyslog's default

}  // namespace weir::syslog
