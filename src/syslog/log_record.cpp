#include "syslog/log_record.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/control_characters.h"

namespace weir::syslog {
namespace {

// Names and errors can hold what a peer or a client of the API sent.
void put_safe(std::string& out, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto control = control_bytes_at(text, i);
    if (control == 0) {
      out += text[i];
    } else if (text[i] == '\n') {
      out += "\\n";
    } else {
      i += control - 1;
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));  // of U+009B, too, its number
    }
  }
}

auto safe(std::string_view text) -> std::string {
  std::string out;
  put_safe(out, text);
  return out;
}

void put_fields(std::string& out, const LogRecord& record) {
  for (const auto& [name, value] : record.fields) {
    const bool plain = !value.empty() && value.find_first_of(" \"=") == std::string::npos;
    out += ' ' + name + '=';
    if (plain) {
      put_safe(out, value);
    } else {
      out += '"';
      for (const char c : safe(value)) out += c == '"' ? "\\\"" : std::string(1, c);
      out += '"';
    }
  }
}

// Cut at the beginning of a UTF-8 character.
void cut(std::string& text, std::size_t most) {
  if (text.size() <= most) return;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  text.resize(most);
}

// RFC 3339 in UTC, with microseconds.
auto timestamp(WallTime time) -> std::string {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", fmt::gmtime(static_cast<std::time_t>(micros / 1'000'000)),
                     micros % 1'000'000);
}

// How many bytes the UTF-8 character at the front has; 0: it is none.
auto utf8_length(std::string_view text) -> std::size_t {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80                    ? 1
                             : first >= 0xC2 && first < 0xE0 ? 2
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5 ? 4
                                                             : 0;
  if (length == 0 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  // Neither longer than it need be, nor half a surrogate pair, nor beyond the last one (RFC 3629 section 4).
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F)) return 0;
  if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) return 0;
  return length;
}

// RFC 8259 section 7; what is no UTF-8 becomes U+FFFD. Few lines, so that `weir tap` needs no JSON library.
void put_json(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto byte = static_cast<unsigned char>(text.front());
    if (length == 0) {
      out += "\\ufffd";
    } else if (byte == '"' || byte == '\\') {
      out += {'\\', text.front()};
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  out += '"';
}

auto as_json(const LogRecord& record) -> std::string {
  std::string line =
      fmt::format(R"({{"time":"{}","level":"{}","message":)", timestamp(record.time), to_string(record.level));
  put_json(line, record.message);
  for (const auto& [name, value] : record.fields) {
    line += ',';
    put_json(line, name);
    line += ':';
    put_json(line, value);
  }
  return line + '}';
}

// For a person: one who looks on knows the time, one who reads it later does not.
auto for_person(const LogRecord& record, const LineStyle& style, const Speaker& speaker) -> std::string {
  std::string line = (style.with_time ? line_time(record.time) : "") + speaker.app + ": ";
  if (record.level == LogLevel::warning || record.level == LogLevel::debug) {
    line += std::string(to_string(record.level)) + ": ";
  }
  put_safe(line, record.message);
  put_fields(line, record);
  return line;
}

auto for_file(const LogRecord& record) -> std::string {
  std::string line = fmt::format("{} {} ", timestamp(record.time), to_string(record.level));
  put_safe(line, record.message);
  put_fields(line, record);
  return line;
}

auto longest(const Target& target) -> std::size_t {
  if (target.transport != Transport::udp) return longest_message;
  return target.form == Form::rfc3164 ? longest_rfc3164 : longest_datagram;
}

auto as_syslog(const LogRecord& record, const Target& target, const Speaker& speaker) -> std::string {
  Message message{.pri = {.facility = target.facility, .severity = severity_of(record.level)}};
  message.app = speaker.app;
  message.procid = speaker.procid;
  message.text = safe(record.message);
  // A local daemon knows the machine, and takes a host on /dev/log for a tag (syslog(3) writes none).
  if (target.transport != Transport::local || target.form == Form::rfc5424) message.host = speaker.host;
  if (target.form == Form::rfc3164) {
    put_fields(message.text, record);
  } else if (!record.fields.empty()) {
    SdElement element{.id = "weir@32473"};  // RFC 5424 section 7.2.2: the number for examples; we have none
    for (const auto& [name, value] : record.fields) element.params.push_back({name, safe(value)});
    message.data.push_back(std::move(element));
  }
  const auto encoded = [&] {
    return target.form == Form::rfc3164 ? encode_rfc3164(message, record.time) : encode_rfc5424(message, record.time);
  };
  std::string out = encoded();
  const std::size_t most = longest(target);
  if (out.size() > most) {
    cut(message.text, message.text.size() - std::min(message.text.size(), out.size() - most));
    out = encoded();
    cut(out, most);  // fields alone were too long
  }
  return target.transport == Transport::tcp ? frame(out, target.framing) : out;
}

}  // namespace

auto LogRecord::size() const -> std::size_t {
  std::size_t bytes = message.size();
  for (const auto& [name, value] : fields) bytes += name.size() + value.size();
  return bytes;
}

auto Speaker::this_process() -> Speaker {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return {.host = host.data(), .procid = std::to_string(::getpid())};
}

// The form of the other times, cut to what a person reads.
auto line_time(WallTime time) -> std::string {
  constexpr std::size_t to_milliseconds = sizeof "2026-05-09T12:03:07.123" - 1;
  return timestamp(time).substr(0, to_milliseconds) + "Z ";
}

auto written(const LogRecord& record, const Target& target, const LineStyle& style, const Speaker& speaker)
    -> std::string {
  if (target.is_syslog()) return as_syslog(record, target, speaker);
  std::string line;
  if (style.format == LineFormat::json) {
    line = as_json(record);
  } else {
    line = target.transport == Transport::file ? for_file(record) : for_person(record, style, speaker);
    cut(line, longest_message);
  }
  return line + '\n';
}

}  // namespace weir::syslog
