#pragma once

#include <string>
#include <vector>

#include "diagnose/ledger.h"

namespace weir::diagnose {

// The report for people, as lines of at most `width` columns, without line feeds. What a peer sent stands in it with
// control characters escaped.
[[nodiscard]] auto report_lines(const Report& report, std::size_t width) -> std::vector<std::string>;

}  // namespace weir::diagnose
