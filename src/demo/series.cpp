#include "demo/series.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace weir::demo {

auto Series::total() const -> Nanos { return std::accumulate(per_query.begin(), per_query.end(), Nanos{}); }

auto Series::mean() const -> Nanos {
  return per_query.empty() ? Nanos{} : total() / static_cast<Nanos::rep>(per_query.size());
}

auto Series::percentile(double percent) const -> Nanos {
  if (per_query.empty()) return Nanos{};
  std::vector<Nanos> sorted = per_query;
  std::sort(sorted.begin(), sorted.end());
  const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
  const auto last = static_cast<double>(sorted.size());
  return sorted[static_cast<std::size_t>(std::clamp(rank, 1.0, last)) - 1];
}

auto median_by_total(std::vector<Series> pages) -> Series {
  const auto middle = pages.begin() + static_cast<std::ptrdiff_t>((pages.size() - 1) / 2);
  std::nth_element(pages.begin(), middle, pages.end(),
                   [](const Series& a, const Series& b) { return a.total() < b.total(); });
  return std::move(*middle);
}

}  // namespace weir::demo
