#pragma once

#include <array>
#include <string_view>

namespace weir::cni {

// Every released version of the CNI specification, oldest first. An absent cniVersion means 0.1.0.
inline constexpr std::array<std::string_view, 7> spec_versions{"0.1.0", "0.2.0", "0.3.0", "0.3.1",
                                                               "0.4.0", "1.0.0", "1.1.0"};
[[nodiscard]] constexpr auto is_supported(std::string_view version) -> bool {
  for (const auto each : spec_versions) {
    if (each == version) return true;
  }
  return false;
}

// Both are supported versions; for these, the order of the text is the order of the versions.
[[nodiscard]] constexpr auto at_least(std::string_view version, std::string_view least) -> bool {
  return version >= least;
}

}  // namespace weir::cni
