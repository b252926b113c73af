#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/clock.h"

namespace weir::demo {

// What one page of queries took, query by query, in the order they were asked.
struct Series {
  std::string name{};
  std::vector<Nanos> per_query{};

  [[nodiscard]] auto queries() const -> std::size_t { return per_query.size(); }
  [[nodiscard]] auto total() const -> Nanos;
  [[nodiscard]] auto mean() const -> Nanos;  // 0 if there is no query
  // The smallest duration that at least `percent` of the queries did not exceed (nearest rank).
  // percent: 0 < percent <= 100. 0 if there is no query.
  [[nodiscard]] auto percentile(double percent) const -> Nanos;
};

// The one whose total is the median of the totals (the lower one of the middle two); at least one.
[[nodiscard]] auto median_by_total(std::vector<Series> pages) -> Series;

}  // namespace weir::demo
