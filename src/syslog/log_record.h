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

// How lines on stderr, stdout and in files look. Syslog messages have their own forms.
struct LineStyle {
  LineFormat format = LineFormat::text;
  // Text on stderr and stdout begins with the time. JSON and text in files always have it.
  bool with_time = false;
  auto operator==(const LineStyle&) const -> bool = default;
};

// As the target has it on the wire or in the file, with its framing or newline. Bounded: a message longer than
// the target's usual limit is cut. Nothing in the message can begin another line or a terminal sequence.
[[nodiscard]] auto written(const LogRecord& record, const Target& target, const LineStyle& style,
                           const Speaker& speaker) -> std::string;

// The time in front of a line on stderr or stdout, with the space behind it: "2026-05-09T12:03:07.123Z ".
[[nodiscard]] auto line_time(WallTime time) -> std::string;

// The most bytes of a message: what receivers take at least or by default.
inline constexpr std::size_t longest_rfc3164 = 1024;   // RFC 3164 section 4.1
inline constexpr std::size_t longest_datagram = 2048;  // RFC 5426 section 3.2
inline constexpr std::size_t longest_message = 8096;   // rsyslog's default

}  // namespace weir::syslog
