#include "protocol/framer.h"

#include <algorithm>
#include <array>

namespace weir::protocol {

auto framers() -> std::span<const FramerInfo* const> {
  static constexpr std::array all{
#define WEIR_FRAMER(name) &name##_framer,
#include "protocol/framers.def"
#undef WEIR_FRAMER
  };
  return all;
}

auto find_framer(std::string_view name) -> const FramerInfo* {
  const auto found = std::ranges::find(framers(), name, &FramerInfo::name);
  return found == framers().end() ? nullptr : *found;
}

}  // namespace weir::protocol
