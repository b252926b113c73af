#include "syslog/pri.h"

#include <array>
#include <charconv>

namespace weir::syslog {
namespace {

struct Name {
  std::string_view text;
  unsigned number;
};

// The first name of a number is the one that is printed.
constexpr std::array severities{
    Name{"emerg", 0},    Name{"panic", 0}, Name{"emergency", 0},     Name{"alert", 1},   Name{"crit", 2},
    Name{"critical", 2}, Name{"err", 3},   Name{"error", 3},         Name{"warning", 4}, Name{"warn", 4},
    Name{"notice", 5},   Name{"info", 6},  Name{"informational", 6}, Name{"debug", 7},
};
constexpr std::array facilities{
    Name{"kern", 0},     Name{"user", 1},      Name{"mail", 2},      Name{"daemon", 3},  Name{"auth", 4},
    Name{"security", 4}, Name{"syslog", 5},    Name{"lpr", 6},       Name{"news", 7},    Name{"uucp", 8},
    Name{"cron", 9},     Name{"authpriv", 10}, Name{"megasafe", 10}, Name{"ftp", 11},    Name{"local0", 16},
    Name{"local1", 17},  Name{"local2", 18},   Name{"local3", 19},   Name{"local4", 20}, Name{"local5", 21},
    Name{"local6", 22},  Name{"local7", 23},
};
// Systems disagree on these, so they are read and not printed.
constexpr std::array read_only{
    Name{"ntp", 12},   Name{"audit", 13}, Name{"alert", 14},        Name{"console", 14},
    Name{"clock", 15}, Name{"cron2", 15}, Name{"solaris-cron", 15},
};

auto equal_ignoring_case(std::string_view a, std::string_view b) -> bool {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] - 'A' + 'a') : a[i];
    if (c != b[i]) return false;
  }
  return true;
}

template <std::size_t Count>
auto find(const std::array<Name, Count>& names, std::string_view text) -> std::optional<unsigned> {
  for (const Name& name : names) {
    if (equal_ignoring_case(text, name.text)) return name.number;
  }
  return std::nullopt;
}

template <std::size_t Count>
auto find(const std::array<Name, Count>& names, unsigned number) -> std::optional<std::string_view> {
  for (const Name& name : names) {
    if (name.number == number) return name.text;
  }
  return std::nullopt;
}

auto parse_number(std::string_view text, unsigned most) -> std::optional<unsigned> {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.size() > 3 || number > most) return std::nullopt;
  return number;
}

}  // namespace

auto parse_facility(std::string_view text) -> Result<Facility> {
  auto number = find(facilities, text);
  if (!number) number = find(read_only, text);
  if (!number) number = parse_number(text, most_pri / 8);
  if (number) return static_cast<Facility>(*number);
  return failure(
      fmt::format("there is no syslog facility \"{}\"; write kern, user, mail, daemon, auth, syslog, lpr, news, "
                  "uucp, cron, authpriv, ftp, local0 to local7, or a number from 0 to 23",
                  text));
}

auto parse_severity(std::string_view text) -> Result<Severity> {
  auto number = find(severities, text);
  if (!number) number = parse_number(text, 7);
  if (number) return static_cast<Severity>(*number);
  return failure(
      fmt::format("there is no syslog severity \"{}\"; write emerg, alert, crit, err, warning, notice, info, "
                  "debug, or a number from 0 to 7",
                  text));
}

auto to_string(Facility facility) -> std::string {
  const auto number = static_cast<unsigned>(facility);
  const auto name = find(facilities, number);
  return name ? std::string(*name) : std::to_string(number);
}

auto to_string(Severity severity) -> std::string_view {
  return find(severities, static_cast<unsigned>(severity)).value_or("debug");
}

auto Pri::from_number(unsigned number) -> std::optional<Pri> {
  if (number > most_pri) return std::nullopt;
  return Pri{static_cast<Facility>(number / 8), static_cast<Severity>(number % 8)};
}

auto Pri::parse(std::string_view text) -> Result<Pri> {
  std::string_view digits = text;
  if (digits.size() > 2 && digits.front() == '<' && digits.back() == '>') digits = digits.substr(1, digits.size() - 2);
  if (const auto number = parse_number(digits, most_pri)) return *from_number(*number);
  const auto dot = text.find('.');
  if (dot == std::string_view::npos) {
    return failure(
        fmt::format("\"{}\" is no priority; write FACILITY.SEVERITY such as local3.info, or a number from 0 to {}",
                    text, most_pri));
  }
  const auto facility = parse_facility(text.substr(0, dot));
  if (!facility) return tl::make_unexpected(facility.error());
  const auto severity = parse_severity(text.substr(dot + 1));
  if (!severity) return tl::make_unexpected(severity.error());
  return Pri{*facility, *severity};
}

auto Pri::to_string() const -> std::string {
  return fmt::format("{}.{}", syslog::to_string(facility), syslog::to_string(severity));
}

}  // namespace weir::syslog
