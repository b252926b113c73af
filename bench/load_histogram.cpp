#include "load_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace weir::load {

namespace {

constexpr unsigned step_bits = 8;  // 256 steps per octave
constexpr std::uint64_t steps_per_octave = 1U << step_bits;
constexpr unsigned value_bits = 46;
constexpr std::size_t step_count = (value_bits - step_bits + 1) * steps_per_octave;

auto step_of(std::uint64_t value) -> std::size_t {
  if (value < steps_per_octave) return value;
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - step_bits - 1;
  const std::size_t step = (std::size_t{shift} << step_bits) + (value >> shift);
  return std::min(step, step_count - 1);
}

auto upper_edge(std::size_t step) -> std::uint64_t {
  if (step < 2 * steps_per_octave) return step;
  const auto shift = static_cast<unsigned>(step >> step_bits) - 1;
  const std::uint64_t head = step - (std::uint64_t{shift} << step_bits);
  return ((head + 1) << shift) - 1;
}

}  // namespace

Histogram::Histogram() : steps_(step_count) {}

void Histogram::record(std::uint64_t nanos) {
  ++steps_[step_of(nanos)];
  ++count_;
  sum_ += nanos;
  min_ = std::min(min_, nanos);
  max_ = std::max(max_, nanos);
}

void Histogram::clear() {
  std::fill(steps_.begin(), steps_.end(), 0);
  count_ = max_ = sum_ = 0;
  min_ = ~std::uint64_t{0};
}

auto Histogram::quantile(double q) const -> std::uint64_t {
  if (count_ == 0) return 0;
  const auto wanted =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t step = 0; step < steps_.size(); ++step) {
    seen += steps_[step];
    if (seen >= wanted) return std::min(upper_edge(step), max_);
  }
  return max_;
}

auto Histogram::mean() const -> double {
  return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

}  // namespace weir::load
