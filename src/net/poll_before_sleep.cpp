#include "net/poll_before_sleep.h"

#include <algorithm>

namespace weir::net {

void PollBeforeSleep::waited(Nanos took, std::size_t events) {
  if (!is_on()) return;
  if (events > many) {
    budget_ = Nanos{};
    return;
  }
  if (budget_ == Nanos{}) {
    if (resting_ > 0) {
      --resting_;
    } else if (events > 0 && took <= worth_a_try * most_) {
      budget_ = most_;
    }
    return;
  }
  if (events > 0 && took <= budget_) {
    budget_ = std::min(2 * budget_, most_);
    rest_ = 1;
    return;
  }
  budget_ /= 2;
  if (budget_ >= most_ / least_part) return;
  budget_ = Nanos{};
  resting_ = rest_;
  rest_ = std::min(2 * rest_, longest_rest);  // mutant: polls-in-vain-for-ever
}

}  // namespace weir::net
