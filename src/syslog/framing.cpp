#include "syslog/framing.h"

#include <algorithm>

namespace weir::syslog {
namespace {

constexpr std::size_t longest_count = 9;  // digits
constexpr std::string_view line_ends("\n\0", 2);

}  // namespace

auto to_string(Framing framing) -> std::string_view {
  return framing == Framing::octet_counting ? "octet-counting" : "non-transparent";
}

auto frame(std::string_view message, Framing framing) -> std::string {
  if (framing == Framing::octet_counting) return std::to_string(message.size()) + ' ' + std::string(message);
  std::string line(message);
  std::replace(line.begin(), line.end(), '\n', ' ');  // mutant: syslog-line-feed-in-a-line
  return line + '\n';
}

void FrameReader::consume(std::size_t n) {
  begin_ += std::min(n, buffer_.size() - begin_);
  // Moves the rest to the front now and then, not for each frame.
  if (begin_ == buffer_.size() || begin_ > limit_) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
}

void FrameReader::add(std::string_view bytes) {
  const std::size_t skip = std::min(discard_, bytes.size());
  discard_ -= skip;
  bytes.remove_prefix(skip);
  if (discard_line_) {
    const auto end = bytes.find_first_of(line_ends);
    if (end == std::string_view::npos) return;
    discard_line_ = false;
    bytes.remove_prefix(end + 1);
  }
  buffer_.append(bytes);
}

auto FrameReader::look_for_count() const -> Count {
  const auto text = left();
  std::size_t digits = 0;
  std::size_t length = 0;
  while (digits < text.size() && digits < longest_count && text[digits] >= '0' && text[digits] <= '9') {
    length = length * 10 + static_cast<std::size_t>(text[digits++] - '0');
  }
  if (digits == 0 || text.front() == '0') return {};
  const auto after = text.substr(digits, 2);
  if (after.empty() && digits < longest_count) return {.undecided = true};
  if (after.empty() || after[0] != ' ') return {};
  if (after.size() < 2) return {.undecided = true};
  if (after[1] != '<') return {};
  return {.header = digits + 1, .length = length};
}

auto FrameReader::take_line() -> std::optional<Frame> {
  const auto text = left();
  const auto end = text.find_first_of(line_ends);
  if (end == std::string_view::npos && text.size() <= limit_) return std::nullopt;  // mutant: syslog-long-line-grows
  auto line = text.substr(0, end);
  Frame out;
  if (line.size() > limit_) {
    out.cut = true;
    line = line.substr(0, limit_);
  }
  out.text = line;
  discard_line_ = end == std::string_view::npos;
  consume(end == std::string_view::npos ? text.size() : end + 1);
  if (!out.text.empty() && out.text.back() == '\r') out.text.pop_back();
  return out;
}

auto FrameReader::next() -> std::optional<Frame> {
  while (!left().empty()) {
    const Count count = look_for_count();
    if (count.undecided) return std::nullopt;
    if (count.header == 0) {
      auto line = take_line();
      if (line && line->text.empty() && !line->cut) continue;
      return line;
    }
    const auto body = left().substr(count.header);
    const std::size_t wanted = std::min(count.length, limit_);
    if (body.size() < wanted) return std::nullopt;
    Frame out{
        .text = std::string(body.substr(0, wanted)), .framing = Framing::octet_counting, .cut = count.length > limit_};
    const std::size_t here = std::min(count.length, body.size());
    discard_ = count.length - here;  // mutant: syslog-rest-of-a-long-frame-is-read
    consume(count.header + here);
    return out;
  }
  return std::nullopt;
}

auto FrameReader::rest() -> std::optional<Frame> {
  if (auto whole = next()) return whole;
  if (left().empty()) return std::nullopt;
  // Of a counted frame that never came whole, its count too, which may be beyond the limit.
  Frame out{.text = std::string(left().substr(0, limit_)), .cut = left().size() > limit_};
  consume(left().size());
  return out;
}

}  // namespace weir::syslog
