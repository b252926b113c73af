#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "base/clock.h"

namespace weir::event {

// What stands still as one ring with policy block has no room. The worker's loop counts, any thread reads. It has a
// lock, as the figures that are read have to fit together; it is taken when something stops or goes on, never for an
// event that has its room.
class HeldUp {
 public:
  enum class Who : std::uint8_t {
    session,   // one or both of its directions are not read, or not sent
    listener,  // it accepts nobody
  };
  struct Figures {
    std::size_t sessions = 0;
    std::size_t listeners = 0;
    // How long the ring has given no room while one of them waited; 0: nothing waits.
    Nanos since{};
    Nanos waited{};  // the sum of all waits until now; it never falls
  };

  void begins(Who who, MonoTime now) {
    const std::lock_guard lock(mutex_);
    advance(now);
    if (count() == 0) no_room_since_ = now;
    ++counts_[static_cast<std::size_t>(who)];
  }
  void ends(Who who, MonoTime now) {
    const std::lock_guard lock(mutex_);
    advance(now);
    --counts_[static_cast<std::size_t>(who)];
  }
  // The observer has taken something: what waits may go on, or waits for its turn.
  void room_came(MonoTime now) {
    const std::lock_guard lock(mutex_);
    no_room_since_ = now;
  }
  [[nodiscard]] auto figures(MonoTime now) const -> Figures {
    const std::lock_guard lock(mutex_);
    advance(now);
    return {.sessions = counts_[0],
            .listeners = counts_[1],
            .since = count() == 0 ? Nanos{0} : std::max(now - no_room_since_, Nanos{0}),
            .waited = waited_};
  }

 private:
  [[nodiscard]] auto count() const -> std::size_t { return counts_[0] + counts_[1]; }
  // The loop's time may be a little behind that of a reader, who has been told a sum already.
  void advance(MonoTime now) const {
    if (now <= summed_until_) return;
    waited_ += (now - summed_until_) * static_cast<Nanos::rep>(count());
    summed_until_ = now;
  }

  mutable std::mutex mutex_;
  std::array<std::size_t, 2> counts_{};  // by Who
  MonoTime no_room_since_{};
  mutable MonoTime summed_until_{};
  mutable Nanos waited_{};
};

}  // namespace weir::event
