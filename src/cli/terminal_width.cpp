#include "cli/terminal_width.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>

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

}  // namespace weir::cli
