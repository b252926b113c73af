// `weir why --compare FILE`: what has changed since an earlier report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cli/api_command.h"
#include "diagnose/ledger.h"

namespace weir::cli {

// A report that `weir why --json` wrote.
struct EarlierReport {
  struct Cause {
    std::string cause;
    std::string side;
    Nanos lost{};
  };
  std::string file;
  std::uint64_t exchanges = 0;
  Nanos exchange_time{};
  std::vector<Cause> causes;
};

// Errors name the file, and the field that is not as --json writes it.
[[nodiscard]] auto read_earlier_report(const std::string& file) -> Result<EarlierReport>;

// How much time an exchange takes and loses to each cause, before and now, the largest change first. Lines of at most
// `width` columns, without line feeds.
[[nodiscard]] auto compare_lines(const EarlierReport& before, const diagnose::Report& now, std::size_t width)
    -> std::vector<std::string>;
// The same: {"file", "before_ns", "now_ns", "causes": [{"cause", "side", "before_ns", "now_ns"}]}, of one exchange.
[[nodiscard]] auto compare_json(const EarlierReport& before, const diagnose::Report& now) -> Json;

}  // namespace weir::cli
