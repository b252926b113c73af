#include "engine/polling.h"

#include "base/duration.h"

namespace weir::engine {

auto parse_polling(std::string_view text) -> Result<Nanos> {
  if (text == "off") return Nanos{};
  if (text == "auto") return automatic_polling;
  const auto duration = parse_duration(text);
  if (duration && *duration >= std::chrono::microseconds{1} && *duration <= longest_polling) return *duration;
  constexpr std::size_t enough = 64;
  return failure(fmt::format("write auto, off or a duration from 1us to 10ms, not \"{}\"", text.substr(0, enough)));
}

}  // namespace weir::engine
