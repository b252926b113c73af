#include "view/terminal.h"

#include <strings.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

namespace weir::view {
namespace {

auto is_set(const char* variable) -> bool { return variable != nullptr && *variable != '\0'; }

}  // namespace

auto parse_color_mode(std::string_view text) -> Result<ColorMode> {
  if (text == "auto") return ColorMode::automatic;
  if (text == "always") return ColorMode::always;
  if (text == "never") return ColorMode::never;
  return failure(fmt::format("\"{}\" is not a colour mode: choose auto, always or never", text));
}

auto resolve_color(ColorMode mode, const TerminalFacts& facts) -> bool {
  switch (mode) {
    case ColorMode::always: return true;
    case ColorMode::never: return false;
    case ColorMode::automatic: break;
  }
  return facts.is_terminal && !is_set(facts.no_color) && is_set(facts.term) && std::string_view(facts.term) != "dumb";
}

auto resolve_color(ColorMode mode, int fd) -> bool {
  return resolve_color(
      mode, {.is_terminal = ::isatty(fd) == 1, .no_color = std::getenv("NO_COLOR"), .term = std::getenv("TERM")});
}

auto is_utf8_locale(const char* lc_all, const char* lc_ctype, const char* lang) -> bool {
  for (const char* variable : std::array{lc_all, lc_ctype, lang}) {
    if (!is_set(variable)) continue;
    // language_TERRITORY.codeset@modifier
    const std::string_view locale(variable);
    const auto dot = locale.find('.');
    if (dot == std::string_view::npos) return false;
    const std::string codeset(locale.substr(dot + 1, locale.find('@') - dot - 1));
    return ::strcasecmp(codeset.c_str(), "UTF-8") == 0 || ::strcasecmp(codeset.c_str(), "UTF8") == 0;
  }
  return false;
}

auto is_utf8_locale() -> bool {
  return is_utf8_locale(std::getenv("LC_ALL"), std::getenv("LC_CTYPE"), std::getenv("LANG"));
}

}  // namespace weir::view
