#pragma once

#include <cstddef>

#include "base/clock.h"

namespace weir::net {

// How long a loop asks again and again for events before it sleeps. A sleep costs a wake-up by another processor, which
// in a virtual machine takes 25 to 40 us, longer than many a peer takes to answer.
// Adaptive: it asks as long as that has paid. Doubled when an event came in time, halved when none did, and left alone
// for longer and longer when it does not pay; off while many sockets are ready at a time, as there is always something
// to do then. A pure machine: the loop tells it the times.
class PollBeforeSleep {
 public:
  // `most`: the longest; 0: never.
  explicit PollBeforeSleep(Nanos most = Nanos{}) : most_(most) {}

  [[nodiscard]] auto is_on() const -> bool { return most_ > Nanos{}; }
  // For the next wait.
  [[nodiscard]] auto budget() const -> Nanos { return budget_; }
  // A wait took so long, asking and sleeping, and so many sockets had news then.
  void waited(Nanos took, std::size_t events);

  static constexpr std::size_t many = 4;
  // In parts of `most`.
  static constexpr int least_part = 8;            // less than this is none
  static constexpr int worth_a_try = 4;           // a sleep that was so much longer at most, wake-up and all
  static constexpr unsigned longest_rest = 1024;  // waits between two tries that did not pay

 private:
  Nanos most_;
  Nanos budget_{};
  unsigned rest_ = 1;     // waits after the next try that does not pay
  unsigned resting_ = 0;  // waits until the next try
};

}  // namespace weir::net
