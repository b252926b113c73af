#include <algorithm>
#include <array>
#include <charconv>

#include "syslog/message.h"

namespace weir::syslog {
namespace {

auto is_digit(char c) -> bool { return c >= '0' && c <= '9'; }
auto is_printable(char c) -> bool { return c > ' ' && c < 127; }

// Reads a line from its front.
class Reader {
 public:
  explicit Reader(std::string_view text) : left_(text) {}
  [[nodiscard]] auto left() const -> std::string_view { return left_; }
  void skip(std::size_t n) { left_.remove_prefix(std::min(n, left_.size())); }
  [[nodiscard]] auto take(char c) -> bool {
    if (left_.empty() || left_.front() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  // Up to the next blank or the end, and past the blank.
  [[nodiscard]] auto word() -> std::string_view {
    const auto blank = std::min(left_.find(' '), left_.size());
    const auto word = left_.substr(0, blank);
    skip(blank + 1);
    return word;
  }

 private:
  std::string_view left_;
};

// "dddd-dd-ddT..." against "nnnn-nn-nnT...": n is a digit, the rest stands for itself.
auto fits(std::string_view text, std::string_view pattern) -> bool {
  if (text.size() < pattern.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == 'n' ? !is_digit(text[i]) : pattern[i] != text[i]) return false;
  }
  return true;
}

auto number_at(std::string_view text, std::size_t at) -> int { return (text[at] - '0') * 10 + (text[at + 1] - '0'); }

// RFC 5424 section 6.2.3: RFC 3339, upper-case T and Z, up to six digits of fraction, no leap second.
auto is_timestamp_5424(std::string_view text) -> bool {
  if (!fits(text, "nnnn-nn-nnTnn:nn:nn")) return false;
  const int month = number_at(text, 5);
  const int day = number_at(text, 8);
  if (month < 1 || month > 12 || day < 1 || day > 31) return false;
  if (number_at(text, 11) > 23 || number_at(text, 14) > 59 || number_at(text, 17) > 59) return false;
  text.remove_prefix(19);
  if (!text.empty() && text.front() == '.') {
    const auto digits =
        static_cast<std::size_t>(std::find_if_not(text.begin() + 1, text.end(), is_digit) - text.begin()) - 1;
    if (digits < 1 || digits > 6) return false;
    text.remove_prefix(digits + 1);
  }
  if (text == "Z") return true;
  return text.size() == 6 && (fits(text, "+nn:nn") || fits(text, "-nn:nn")) && number_at(text, 1) <= 23 &&
         number_at(text, 4) <= 59;
}

// "Oct 11 22:14:15", the day padded with a blank; 0 if there is none.
auto timestamp_3164_length(std::string_view text) -> std::size_t {
  static constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const bool month = std::any_of(months.begin(), months.end(), [&](auto name) { return text.starts_with(name); });
  if (!month || text.size() < 15) return 0;
  const auto rest = text.substr(3);
  return fits(rest, " nn nn:nn:nn") || fits(rest, "  n nn:nn:nn") ? 15 : 0;
}

// False: there is no usable PRI.
auto read_pri(Reader& in, Message& out) -> bool {
  if (in.left().empty() || in.left().front() != '<') {
    out.anomalies.push_back(Anomaly::no_pri);
    return true;
  }
  const auto close = in.left().substr(0, 5).find('>');
  const auto digits = close == std::string_view::npos ? std::string_view() : in.left().substr(1, close - 1);
  unsigned number = 0;
  const bool all_digits = !digits.empty() && std::all_of(digits.begin(), digits.end(), is_digit);
  if (all_digits) std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const auto pri = all_digits ? Pri::from_number(number) : std::nullopt;
  if (!pri) {
    out.anomalies.push_back(Anomaly::bad_pri);
    return false;
  }
  if (digits.size() > 1 && digits.front() == '0') out.anomalies.push_back(Anomaly::leading_zero_pri);
  out.pri = *pri;
  in.skip(close + 1);
  return true;
}

void read_field(Reader& in, std::string& field, std::size_t longest, Message& out) {
  const auto word = in.word();
  if (word.empty() || word.size() > longest || !std::all_of(word.begin(), word.end(), is_printable)) {
    out.anomalies.push_back(Anomaly::bad_field);
  }
  if (word != "-") field = word;
}

auto read_sd_name(Reader& in) -> std::string_view {
  const auto text = in.left();
  const auto end = std::find_if(text.begin(), text.end(),
                                [](char c) { return !is_printable(c) || c == '=' || c == ']' || c == '"'; });
  const auto name = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  in.skip(name.size());
  return name.size() <= 32 ? name : std::string_view();
}

// Past the opening quote. False: it is not closed.
auto read_value(Reader& in, std::string& value) -> bool {
  while (!in.left().empty()) {
    char c = in.left().front();
    in.skip(1);
    if (c == '"') return true;
    if (c == ']') return false;  // must be escaped
    if (c == '\\' && !in.left().empty()) {
      const char next = in.left().front();
      // Before any other character a backslash is a backslash (RFC 5424 section 6.3.3).
      if (next == '"' || next == '\\' || next == ']') {
        c = next;
        in.skip(1);
      }
    }
    value += c;
  }
  return false;
}

auto read_element(Reader& in, SdElement& element) -> bool {
  element.id = read_sd_name(in);
  if (element.id.empty()) return false;
  while (in.take(' ')) {
    SdParam param;
    param.name = read_sd_name(in);
    if (param.name.empty() || !in.take('=') || !in.take('"') || !read_value(in, param.value)) return false;
    element.params.push_back(std::move(param));
  }
  return in.take(']');
}

// False: malformed; the reader stands where it began.
auto read_data(Reader& in, std::vector<SdElement>& data) -> bool {
  const Reader begin = in;
  if (in.take('-')) {
    if (in.left().empty() || in.left().front() == ' ') return true;
    in = begin;
    return false;
  }
  if (in.left().empty() || in.left().front() != '[') return false;
  while (in.take('[')) {
    SdElement element;
    if (!read_element(in, element)) {
      in = begin;
      data.clear();
      return false;
    }
    data.push_back(std::move(element));
  }
  if (in.left().empty() || in.left().front() == ' ') return true;
  in = begin;
  data.clear();
  return false;
}

void read_5424(Reader& in, Message& out) {
  out.form = Form::rfc5424;
  const auto time = in.word();
  if (time != "-") {
    out.timestamp = time;
    if (!is_timestamp_5424(time)) out.anomalies.push_back(Anomaly::bad_timestamp);
  }
  read_field(in, out.host, 255, out);
  read_field(in, out.app, 48, out);
  read_field(in, out.procid, 128, out);
  read_field(in, out.msgid, 32, out);
  if (read_data(in, out.data)) {
    (void)in.take(' ');
  } else {
    out.anomalies.push_back(Anomaly::bad_structured_data);
  }
  if (in.left().starts_with("\xEF\xBB\xBF")) {
    out.bom = true;
    in.skip(3);
  }
}

auto is_tag(char c) -> bool { return is_printable(c) && c != '[' && c != ']' && c != ':' && c != '<' && c != '"'; }

// "tag[pid]: " or "tag: "; nothing is taken if there is none.
void read_tag(Reader& in, Message& out) {
  const auto text = in.left();
  const auto end = static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_tag) - text.begin());
  if (end == 0 || end > 48 || end == text.size()) return;
  std::size_t at = end;
  std::string_view pid;
  if (text[at] == '[') {
    const auto close = text.find(']', at);
    if (close == std::string_view::npos || close - at > 64) return;
    pid = text.substr(at + 1, close - at - 1);
    at = close + 1;
  }
  if (at >= text.size() || text[at] != ':') return;
  out.app = text.substr(0, end);
  out.procid = pid;
  in.skip(at + 1);
  (void)in.take(' ');
}

void read_3164(Reader& in, Message& out) {
  const std::size_t stamp = timestamp_3164_length(in.left());
  if (stamp == 0) {
    out.anomalies.push_back(Anomaly::no_header);
    return;
  }
  out.form = Form::rfc3164;
  out.timestamp = in.left().substr(0, stamp);
  in.skip(stamp);
  (void)in.take(' ');
  // A host has no '[' and does not end in ':'; else it is the tag, as programs leave out the host on /dev/log.
  const Reader begin = in;
  const auto word = in.word();
  if (word.empty() || word.back() == ':' || word.find('[') != std::string_view::npos) {
    in = begin;
  } else {
    out.host = word;
  }
  read_tag(in, out);
}

auto is_version_digit(char c) -> bool { return c >= '1' && c <= '9'; }

}  // namespace

auto to_string(Form form) -> std::string_view {
  switch (form) {
    case Form::plain: return "plain";
    case Form::rfc3164: return "rfc3164";
    case Form::rfc5424: return "rfc5424";
  }
  return "plain";
}

auto to_string(Anomaly anomaly) -> std::string_view {
  switch (anomaly) {
    case Anomaly::no_pri: return "no PRI";
    case Anomaly::bad_pri: return "bad PRI";
    case Anomaly::leading_zero_pri: return "PRI with a leading zero";
    case Anomaly::unknown_version: return "unknown version";
    case Anomaly::bad_timestamp: return "bad timestamp";
    case Anomaly::bad_field: return "bad header field";
    case Anomaly::bad_structured_data: return "bad structured data";
    case Anomaly::no_header: return "no header";
    case Anomaly::control_character: return "control character";
  }
  return "";
}

auto parse(std::string_view line) -> Message {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\0' || line.back() == '\r')) line.remove_suffix(1);
  Message out;
  Reader in(line);
  if (read_pri(in, out)) {
    const auto left = in.left();
    const bool versioned = out.anomalies.empty() || out.anomalies.front() != Anomaly::no_pri;
    if (versioned && left.size() > 1 && is_version_digit(left[0]) && left[1] == ' ') {
      if (left[0] == '1') {
        in.skip(2);
        read_5424(in, out);
      } else {
        out.anomalies.push_back(Anomaly::unknown_version);
        read_3164(in, out);
      }
    } else {
      read_3164(in, out);
    }
  }
  out.text = in.left();
  const bool control = std::any_of(out.text.begin(), out.text.end(),
                                   [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 127; });
  if (control) out.anomalies.push_back(Anomaly::control_character);
  return out;
}

}  // namespace weir::syslog
