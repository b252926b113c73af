#include "cli/terminal_width.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace weir::cli {
namespace {

auto number_in(const char* variable) -> std::size_t {
  const char* text = std::getenv(variable);
  std::size_t value = 0;
  if (text == nullptr || std::from_chars(text, text + std::strlen(text), value).ec != std::errc{}) return 0;
  return value;
}

auto is_wide(std::uint32_t code) -> bool {
  const auto within = [code](std::uint32_t first, std::uint32_t last) { return code >= first && code <= last; };
  // Those of the Basic Multilingual Plane that Unicode calls wide because emoji are: single ones and short runs.
  constexpr std::array<std::pair<std::uint16_t, std::uint16_t>, 36> emoji{
      {{0x231a, 0x231b}, {0x23e9, 0x23ec}, {0x23f0, 0x23f0}, {0x23f3, 0x23f3}, {0x25fd, 0x25fe}, {0x2614, 0x2615},
       {0x2648, 0x2653}, {0x267f, 0x267f}, {0x2693, 0x2693}, {0x26a1, 0x26a1}, {0x26aa, 0x26ab}, {0x26bd, 0x26be},
       {0x26c4, 0x26c5}, {0x26ce, 0x26ce}, {0x26d4, 0x26d4}, {0x26ea, 0x26ea}, {0x26f2, 0x26f3}, {0x26f5, 0x26f5},
       {0x26fa, 0x26fa}, {0x26fd, 0x26fd}, {0x2705, 0x2705}, {0x270a, 0x270b}, {0x2728, 0x2728}, {0x274c, 0x274c},
       {0x274e, 0x274e}, {0x2753, 0x2755}, {0x2757, 0x2757}, {0x2795, 0x2797}, {0x27b0, 0x27b0}, {0x27bf, 0x27bf},
       {0x2b1b, 0x2b1c}, {0x2b50, 0x2b50}, {0x2b55, 0x2b55}, {0x3000, 0x3000}, {0x2329, 0x232a}, {0xa960, 0xa97c}}};
  for (const auto& [first, last] : emoji) {
    if (within(first, last)) return true;
  }
  return within(0x1100, 0x115f) || within(0x2e80, 0xa4cf) || within(0xac00, 0xd7a3) || within(0xf900, 0xfaff) ||
         within(0xfe30, 0xfe6f) || within(0xff00, 0xff60) || within(0xffe0, 0xffe6) || within(0x1f300, 0x1faff) ||
         within(0x20000, 0x3fffd);
}

}  // namespace

auto terminal_size() -> TerminalSize {
  TerminalSize size;
  winsize told{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &told) == 0;
  const std::size_t columns = known && told.ws_col > 0 ? told.ws_col : number_in("COLUMNS");
  const std::size_t rows = known && told.ws_row > 0 ? told.ws_row : number_in("LINES");
  if (columns > 0) size.columns = columns;
  if (rows > 0) size.rows = rows;
  return size;
}

auto display_width(std::string_view text) -> std::size_t {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if ((lead & 0xc0) == 0x80) continue;  // belongs to the one before
    std::uint32_t code = lead;
    if (lead >= 0xc0) {
      code = lead & (lead >= 0xf0 ? 0x07U : lead >= 0xe0 ? 0x0fU : 0x1fU);
      for (std::size_t j = i + 1; j < text.size() && (static_cast<unsigned char>(text[j]) & 0xc0) == 0x80; ++j) {
        code = code << 6 | (static_cast<unsigned char>(text[j]) & 0x3fU);
      }
    }
    if (code >= 0x300 && code <= 0x36f) continue;  // combining marks
    width += is_wide(code) ? 2 : 1;
  }
  return width;
}

auto fit_columns(const std::string& text, std::size_t columns) -> std::string {
  if (columns == 0) return "";
  if (display_width(text) <= columns) return text;
  std::size_t end = 0;
  std::size_t width = 0;
  while (end < text.size()) {
    std::size_t next = end + 1;
    while (next < text.size() && (static_cast<unsigned char>(text[next]) & 0xc0) == 0x80) ++next;
    width += display_width(std::string_view(text).substr(end, next - end));
    if (width > columns - 1) break;
    end = next;
  }
  return text.substr(0, end) + ">";
}

}  // namespace weir::cli
