#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace weir::diagnose {

// The proof of a split write by comparison, for one leg of one session: if every exchange stalls, the delay of this
// host's ACK is taken away for some, and they must not; then it is as it was. A machine: it is told how each exchange
// went and says what is to be done.
class AckProof {
 public:
  static constexpr unsigned stalls_first = 5;      // exchanges in a row that must have stalled before
  static constexpr unsigned exchanges_tried = 20;  // with the delay off
  static constexpr unsigned reads_asked = 4 * exchanges_tried;

  enum class Step : std::uint8_t { nothing, take_delay_away, put_it_back };
  // An exchange has ended: did it stall, and how long did it take?
  auto on_exchange(bool stalled, Nanos length) -> Step;
  // How long the median exchange takes without the delay, once that has shown that the delay was the cause.
  [[nodiscard]] auto proven() const -> std::optional<Nanos> { return proven_; }

 private:
  enum class Phase : std::uint8_t { watching, trying, over };
  Phase phase_ = Phase::watching;
  unsigned stalls_ = 0;
  unsigned fast_ = 0;
  bool skipped_first_ = false;  // it may have begun before the delay was off
  std::vector<Nanos> lengths_;
  std::optional<Nanos> proven_;
};

}  // namespace weir::diagnose
