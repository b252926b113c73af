#pragma once

#include <algorithm>
#include <cmath>

#include "base/seeded_random.h"

namespace weir::fault {

// Uniform draws each of which resembles the one before (a Gaussian copula): the correlation is that of
// the normal variables behind them, and each draw by itself stays uniform in [0, 1).
class CorrelatedDraws {
 public:
  explicit CorrelatedDraws(Draws draws) : draws_(draws) {}
  void set_correlation(double correlation) { correlation_ = correlation; }

  auto next(std::uint64_t index) -> double {
    const double u = draws_.uniform(index);
    if (correlation_ == 0) return u;
    const double fresh = normal_quantile(u);
    normal_ = begun_ ? correlation_ * normal_ + std::sqrt(1 - correlation_ * correlation_) * fresh : fresh;
    begun_ = true;
    return std::min(normal_below(normal_), 1 - 0x1p-53);
  }

 private:
  Draws draws_;
  double correlation_ = 0;
  double normal_ = 0;
  bool begun_ = false;
};

}  // namespace weir::fault
