#pragma once

#include <string_view>

#include "diagnose/pause.h"

namespace weir::diagnose {

// Where the server's own calls should be looked at, as its answers take what a well-known timer takes; empty: they do
// not. One sentence, without a full stop.
[[nodiscard]] auto known_constant_hint(const Pause& pause) -> std::string_view;

}  // namespace weir::diagnose
