#include "base/log.h"

#include <array>

namespace weir {
namespace {

constexpr std::array<std::string_view, 4> names{"debug", "info", "warning", "error"};

}  // namespace

auto to_string(LogLevel level) -> std::string_view { return names[static_cast<std::size_t>(level)]; }

auto parse_log_level(std::string_view text) -> std::optional<LogLevel> {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

}  // namespace weir
