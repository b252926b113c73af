#include "diagnose/ack_proof.h"

#include <algorithm>

namespace weir::diagnose {

auto AckProof::on_exchange(bool stalled, Nanos length) -> Step {
  switch (phase_) {
    case Phase::watching:
      stalls_ = stalled ? stalls_ + 1 : 0;
      if (stalls_ < stalls_first) return Step::nothing;
      phase_ = Phase::trying;
      return Step::take_delay_away;
    case Phase::trying: {
      if (!skipped_first_) {
        skipped_first_ = true;
        return Step::nothing;
      }
      lengths_.push_back(length);
      fast_ += stalled ? 0 : 1;
      if (lengths_.size() < exchanges_tried) return Step::nothing;
      phase_ = Phase::over;
      // On a busy machine one or two are late for a reason of their own.
      if (10 * fast_ >= 9 * exchanges_tried) {
        const auto middle = lengths_.begin() + exchanges_tried / 2;
        std::ranges::nth_element(lengths_, middle);
        proven_ = *middle;
      }
      lengths_ = {};
      return Step::put_it_back;
    }
    case Phase::over: break;
  }
  return Step::nothing;
}

}  // namespace weir::diagnose
