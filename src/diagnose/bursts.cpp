#include "diagnose/bursts.h"

#include <cmath>

namespace weir::diagnose {

void RateCurve::widen() {
  for (std::size_t i = 0; i < slices; ++i) {
    bytes_.at(i) = 2 * i + 1 < slices ? bytes_.at(2 * i) + bytes_.at(2 * i + 1) : 0;
  }
  width_ *= 2;
}

auto RateCurve::rate() const -> std::optional<Rate> {
  constexpr std::size_t least_slices = 6;
  if (last_ < least_slices + 1) return std::nullopt;
  const auto count = static_cast<double>(last_ - 1);
  double sum = 0;
  double squares = 0;
  for (std::size_t i = 1; i < last_; ++i) {
    const auto bytes = static_cast<double>(bytes_.at(i));
    sum += bytes;
    squares += bytes * bytes;
  }
  if (sum <= 0) return std::nullopt;
  const double mean = sum / count;
  const double variance = std::max(0.0, squares / count - mean * mean);
  return Rate{.bytes_a_second = mean / std::chrono::duration<double>(width_).count(),
              .variation = std::sqrt(variance) / mean};
}

}  // namespace weir::diagnose
