#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "base/fd.h"

namespace weir::event {

// How an observer's thread sleeps and is woken, shared by the rings of all workers it reads.
// Any thread may wake; one thread waits.
class ConsumerSignal {
 public:
  ConsumerSignal();
  // False: there was no descriptor for it, and it wakes nobody.
  [[nodiscard]] auto is_good() const -> bool { return static_cast<bool>(eventfd_); }
  // Producer side, after publishing. An idle consumer is woken at once; one that is collecting (see
  // wait) only if `urgent`.
  void notify(bool urgent);
  // Wakes the consumer whatever it does.
  void wake();

  // Consumer side. `drained_something`: the last look at the rings found events. Then more are
  // likely to come soon, and the consumer sleeps collect_time whatever arrives, instead of being
  // woken for each: at 30,000 requests a second a wake-up per event costs more than printing them.
  // Otherwise it sleeps until notify, at most so long. `still_empty` looks at the rings once more before sleeping.
  void wait(bool drained_something, const std::function<bool()>& still_empty,
            std::optional<std::chrono::nanoseconds> at_most = std::nullopt);

  // Unseen by a person watching a terminal; far below what fills a ring.
  static constexpr auto collect_time = std::chrono::milliseconds{3};

 private:
  enum State : std::uint32_t { busy, collecting, idle };
  std::atomic<std::uint32_t> state_{busy};
  Fd eventfd_;
};

}  // namespace weir::event
