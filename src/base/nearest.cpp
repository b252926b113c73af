#include "base/nearest.h"

#include <algorithm>
#include <numeric>

namespace weir {
namespace {

// Letters to insert, remove or replace, and neighbours to swap: the optimal string alignment distance.
auto distance(std::string_view a, std::string_view b) -> std::size_t {
  std::vector<std::size_t> before(b.size() + 1);  // the row above the last
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::swap(before, last);
    std::swap(last, row);
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = std::min({last[j + 1] + 1, row[j] + 1, last[j] + (a[i] == b[j] ? 0 : 1)});
      const bool swapped = i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j];
      if (swapped) row[j + 1] = std::min(row[j + 1], before[j - 1] + 1);
    }
  }
  return row.back();
}

}  // namespace

auto nearest(std::string_view word, const std::vector<std::string_view>& known) -> std::optional<std::string_view> {
  constexpr std::size_t longest = 64;  // of what is compared: the work grows with the square
  if (word.size() > longest || known.empty()) return std::nullopt;
  const auto best = *std::ranges::min_element(known, {}, [&](std::string_view each) { return distance(word, each); });
  const std::size_t off = distance(word, best);
  const bool alike = off <= std::max<std::size_t>(2, best.size() / 3) && off * 2 < word.size();
  return alike ? std::optional(best) : std::nullopt;
}

}  // namespace weir
