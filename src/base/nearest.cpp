#include "base/nearest.h"

#include <algorithm>
#include <numeric>

namespace weir {
namespace {

// Levenshtein's: letters to insert, remove or replace.
auto distance(std::string_view a, std::string_view b) -> std::size_t {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
      diagonal = above;
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
