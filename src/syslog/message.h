// One syslog message as a value, and its two written forms.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "syslog/pri.h"

namespace weir::syslog {

enum class Form : std::uint8_t {
  plain,    // no header that could be understood: all is text
  rfc3164,  // <34>Oct 11 22:14:15 host tag[pid]: text
  rfc5424,  // <34>1 2003-10-11T22:14:15.003Z host app procid msgid [sd] text
};
[[nodiscard]] auto to_string(Form form) -> std::string_view;

struct SdParam {
  std::string name;
  std::string value;  // without the escapes of the written form
  auto operator==(const SdParam&) const -> bool = default;
};
struct SdElement {
  std::string id;
  std::vector<SdParam> params{};
  auto operator==(const SdElement&) const -> bool = default;
};

// What is unusual about a message that was parsed; none stops the parsing.
enum class Anomaly : std::uint8_t {
  no_pri,               // none in front: taken as user.notice, as rsyslog and syslog-ng do
  bad_pri,              // above 191, empty or not closed: the whole line is text
  leading_zero_pri,     // <013>: taken as 13, as rsyslog does
  unknown_version,      // not 1: parsed as RFC 3164
  bad_timestamp,        // kept as it was written
  bad_field,            // missing, too long, or with characters that RFC 5424 forbids
  bad_structured_data,  // the rest of the line is text
  no_header,            // after the PRI comes no header of either form
  control_character,    // in the text
};
[[nodiscard]] auto to_string(Anomaly anomaly) -> std::string_view;

// Absent fields are empty ("-" in RFC 5424).
struct Message {
  Pri pri{};
  Form form = Form::plain;
  std::string timestamp{};  // as written
  std::string host{};
  std::string app{};  // the tag of RFC 3164
  std::string procid{};
  std::string msgid{};
  std::vector<SdElement> data{};
  bool bom = false;  // the text began with EF BB BF, which is not part of it: it is UTF-8
  std::string text{};
  std::vector<Anomaly> anomalies{};
};

// Never fails: what is malformed is told in `anomalies`. A newline or NUL at the end is not part of it.
[[nodiscard]] auto parse(std::string_view line) -> Message;

// Writes the message as RFC 5424 (section 6). Fields are cut to their longest lengths, and characters
// that may not stand there become '?'. The timestamp, if empty, is that of `now` in UTC.
[[nodiscard]] auto encode_rfc5424(const Message& message, WallTime now) -> std::string;
// As RFC 3164 (section 4), in local time, as local daemons expect. Without a host if it is empty, as on
// /dev/log. The text's newlines become blanks, as a line ends the message on most transports.
[[nodiscard]] auto encode_rfc3164(const Message& message, WallTime now) -> std::string;

}  // namespace weir::syslog
