// Room syslog/, floor 3: syslog messages as values - their priority, the forms of RFC 3164 and RFC
// 5424, the framings of RFC 6587 - and where Weir's own log can be sent. Includes base/ and net/.
// Start with this file, then message.h for messages, target_log.h for the log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace weir::syslog {

// RFC 5424 section 6.2.1, table 2: the more urgent, the lower.
enum class Severity : std::uint8_t { emerg, alert, crit, err, warning, notice, info, debug };

// A facility is its number, 0 to 23 (RFC 5424 section 6.2.1, table 1).
enum class Facility : std::uint8_t { kern = 0, user = 1, daemon = 3, syslog = 5, local0 = 16, local7 = 23 };

// What the number in front of a message says.
struct Pri {
  Facility facility = Facility::user;
  Severity severity = Severity::notice;
  [[nodiscard]] constexpr auto number() const -> unsigned {
    return static_cast<unsigned>(facility) * 8 + static_cast<unsigned>(severity);
  }
  // None if it is above 191.
  [[nodiscard]] static auto from_number(unsigned number) -> std::optional<Pri>;
  // "local3.info", "158" or "<158>". The error names what was got and what is known.
  [[nodiscard]] static auto parse(std::string_view text) -> Result<Pri>;
  // "local3.info"; facilities 12 to 15, which systems name differently, as numbers.
  [[nodiscard]] auto to_string() const -> std::string;
  auto operator==(const Pri&) const -> bool = default;
};

// Any case, every alias in use ("panic", "warn", "security", "cron2" ...) or a number. "security" is 4,
// as in glibc and rsyslog.
[[nodiscard]] auto parse_facility(std::string_view text) -> Result<Facility>;
[[nodiscard]] auto parse_severity(std::string_view text) -> Result<Severity>;
[[nodiscard]] auto to_string(Facility facility) -> std::string;
[[nodiscard]] auto to_string(Severity severity) -> std::string_view;

inline constexpr unsigned most_pri = 191;

}  // namespace weir::syslog
