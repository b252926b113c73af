#pragma once

#include <cstdint>
#include <vector>

namespace weir::load {

// Latencies in nanoseconds, log-linear as in HdrHistogram: values below 256 exact, above that 256
// steps per octave, so a quantile is at most 0.4 % above the true value. record() is a shift and an
// increment; 80 KiB in all, of which a run touches a few lines. Values above 2^46 ns (19 hours) are
// counted in the last step.
class Histogram {
 public:
  Histogram();
  void record(std::uint64_t nanos);
  void clear();
  [[nodiscard]] auto count() const -> std::uint64_t { return count_; }
  // The smallest step whose upper edge covers the share `q` (0..1) of all values, never above max();
  // 0 if nothing was recorded.
  [[nodiscard]] auto quantile(double q) const -> std::uint64_t;
  [[nodiscard]] auto min() const -> std::uint64_t { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] auto max() const -> std::uint64_t { return max_; }
  [[nodiscard]] auto mean() const -> double;

 private:
  std::vector<std::uint64_t> steps_;
  std::uint64_t count_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
  std::uint64_t sum_ = 0;
};

}  // namespace weir::load
