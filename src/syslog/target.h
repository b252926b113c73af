// Where a log can be sent, as users write it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/result.h"
#include "base/upstream_address.h"
#include "syslog/framing.h"
#include "syslog/message.h"

namespace weir::syslog {

enum class Transport : std::uint8_t { standard_error, standard_output, file, local, udp, tcp };

// One place, a value:
//   stderr, stdout
//   file:/var/log/weir.log
//   syslog:local3[.warning][@/dev/log][?format=rfc5424]    the machine's daemon, over its Unix socket
//   syslog+udp://host[:514][?facility=local3&severity=warning&format=rfc3164]
//   syslog+tcp://host[:514][?...&framing=octet|lf]
// A severity means this one and those more urgent, as in syslog.conf(5).
struct Target {
  std::string text;  // as written: what it is called in messages, metrics and the API
  Transport transport = Transport::standard_error;
  std::string path{};                        // of a file, or of the local daemon's socket
  std::optional<UpstreamAddress> address{};  // of a network target
  Facility facility = Facility::daemon;
  Severity least = Severity::debug;  // messages less urgent are not sent here
  Form form = Form::rfc5424;
  Framing framing = Framing::octet_counting;  // over TCP

  [[nodiscard]] static auto parse(std::string_view text) -> Result<Target>;
  [[nodiscard]] auto is_syslog() const -> bool {
    return transport == Transport::local || transport == Transport::udp || transport == Transport::tcp;
  }
  [[nodiscard]] auto takes(LogLevel level) const -> bool;
};

[[nodiscard]] auto severity_of(LogLevel level) -> Severity;

// How stderr, stdout and files are written to.
enum class LineFormat : std::uint8_t { text, json };
[[nodiscard]] auto to_string(LineFormat format) -> std::string_view;
[[nodiscard]] auto parse_line_format(std::string_view text) -> Result<LineFormat>;

inline constexpr std::string_view local_socket = "/dev/log";
inline constexpr std::uint16_t default_port = 514;  // RFC 5426; customary over TCP (RFC 6587 names none)

}  // namespace weir::syslog
