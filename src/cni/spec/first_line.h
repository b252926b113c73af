#pragma once

#include <string>

namespace weir::cni {

// The first line, of at most 64 bytes, of a small file such as those of /proc and /sys; "" if it cannot be read.
[[nodiscard]] auto first_line(const std::string& path) -> std::string;

}  // namespace weir::cni
