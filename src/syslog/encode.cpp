#include <array>
#include <ctime>

#include "syslog/message.h"

namespace weir::syslog {
namespace {

// RFC 5424 section 6: PRINTUSASCII, which has no blank.
auto put_field(std::string& out, std::string_view field, std::size_t longest) {
  out += ' ';
  if (field.empty()) {
    out += '-';
    return;
  }
  for (const char c : field.substr(0, longest)) out += c > ' ' && c < 127 ? c : '?';
}

auto sd_name(std::string_view name) -> std::string {
  std::string out;
  for (const char c : name.substr(0, 32)) {
    out += c > ' ' && c < 127 && c != '=' && c != ']' && c != '"' ? c : '?';
  }
  return out.empty() ? "?" : out;
}

void put_data(std::string& out, const std::vector<SdElement>& data) {
  out += ' ';
  if (data.empty()) out += '-';
  for (const SdElement& element : data) {
    out += '[' + sd_name(element.id);
    for (const SdParam& param : element.params) {
      out += ' ' + sd_name(param.name) + "=\"";
      for (const char c : param.value) {
        if (c == '"' || c == '\\' || c == ']') out += '\\';  // mutant: syslog-bracket-not-escaped
        out += c;
      }
      out += '"';
    }
    out += ']';
  }
}

auto broken_down(WallTime time, bool utc) -> std::tm {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  const auto at = static_cast<std::time_t>(seconds);
  std::tm tm{};
  (void)(utc ? ::gmtime_r(&at, &tm) : ::localtime_r(&at, &tm));
  return tm;
}

auto utc_timestamp(WallTime now) -> std::string {
  const std::tm tm = broken_down(now, true);
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count() % 1'000'000;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                     tm.tm_hour, tm.tm_min, tm.tm_sec, micros);
}

}  // namespace

auto encode_rfc5424(const Message& message, WallTime now) -> std::string {
  std::string out = fmt::format("<{}>1", message.pri.number());
  put_field(out, message.timestamp.empty() ? utc_timestamp(now) : message.timestamp, 64);
  put_field(out, message.host, 255);
  put_field(out, message.app, 48);
  put_field(out, message.procid, 128);
  put_field(out, message.msgid, 32);
  put_data(out, message.data);
  if (!message.text.empty() || message.bom) {
    out += ' ';
    if (message.bom) out += "\xEF\xBB\xBF";
    out += message.text;
  }
  return out;
}

auto encode_rfc3164(const Message& message, WallTime now) -> std::string {
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::string out = fmt::format("<{}>", message.pri.number());
  if (message.timestamp.empty()) {
    const std::tm tm = broken_down(now, false);
    out += fmt::format("{} {:>2} {:02}:{:02}:{:02}", months[static_cast<std::size_t>(tm.tm_mon)], tm.tm_mday,
                       tm.tm_hour, tm.tm_min, tm.tm_sec);
  } else {
    out += message.timestamp;
  }
  if (!message.host.empty()) put_field(out, message.host, 255);
  out += ' ';
  // A tag is ended by what is not alphanumeric; most systems take these three as part of it.
  for (const char c : std::string_view(message.app).substr(0, 32)) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    out += plain || c == '-' || c == '_' || c == '.' || c == '/' ? c : '?';
  }
  if (!message.procid.empty()) out += '[' + message.procid + ']';
  out += ": ";
  for (const char c : message.text) out += c == '\n' || c == '\r' || c == '\0' ? ' ' : c;
  return out;
}

}  // namespace weir::syslog
