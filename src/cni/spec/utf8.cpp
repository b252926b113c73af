#include "cni/spec/utf8.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace weir::cni {
namespace {

// The number of "\uXXXX" at `at`; nullopt if there is something else.
auto escaped_unit(std::string_view text, std::size_t at) -> std::optional<unsigned> {
  if (text.substr(std::min(at, text.size()), 2) != "\\u" || text.size() < at + 6) return std::nullopt;
  unsigned unit = 0;
  const char* const end = text.data() + at + 6;
  const auto [stopped, error] = std::from_chars(text.data() + at + 2, end, unit, 16);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return unit;
}

auto is_between(unsigned value, unsigned first, unsigned last) -> bool { return value >= first && value <= last; }

}  // namespace

// RFC 3629, section 4.
auto utf8_length(std::string_view text) -> std::size_t {
  if (text.empty()) return 0;
  const auto at = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(text[i])); };
  const auto tail = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return i < text.size() && at(i) >= low && at(i) <= high;
  };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const unsigned low = first == 0xe0 ? 0xa0 : 0x80;
    const unsigned high = first == 0xed ? 0x9f : 0xbf;
    return tail(1, low, high) && tail(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const unsigned low = first == 0xf0 ? 0x90 : 0x80;
    const unsigned high = first == 0xf4 ? 0x8f : 0xbf;
    return tail(1, low, high) && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

auto without_lone_surrogates(std::string json) -> std::string {
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] != '\\') continue;  // in JSON, a backslash stands in strings only
    const auto unit = escaped_unit(json, i);
    if (!unit || !is_between(*unit, 0xd800, 0xdfff)) {
      ++i;  // whatever is escaped, a backslash too
      continue;
    }
    const auto next = escaped_unit(json, i + 6);
    if (*unit < 0xdc00 && next && is_between(*next, 0xdc00, 0xdfff)) {
      i += 11;
    } else {
      json.replace(i, 6, "\\ufffd");
      i += 5;
    }
  }
  return json;
}

auto valid_utf8(std::string_view text) -> std::string {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto length = utf8_length(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

}  // namespace weir::cni
