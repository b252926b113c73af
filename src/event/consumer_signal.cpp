#include "event/consumer_signal.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

namespace weir::event {

ConsumerSignal::ConsumerSignal() : eventfd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void ConsumerSignal::wake() {
  const std::uint64_t one = 1;
  // The only possible failure, EAGAIN, means the counter is full: the consumer is awake already.
  [[maybe_unused]] const auto written = ::write(eventfd_.get(), &one, sizeof one);
}

void ConsumerSignal::notify(bool urgent) {
  // Every access to state_ reads and writes, so each sees the one before it and what that one saw:
  // either the consumer sees what was published, or we see its state. (Fences would do as well, but
  // ThreadSanitizer does not know them.)
  std::uint32_t state = state_.fetch_or(0, std::memory_order_acq_rel);
  if (state == busy || (state == collecting && !urgent)) return;
  if (state_.compare_exchange_strong(state, busy, std::memory_order_acq_rel)) wake();
}

void ConsumerSignal::wait(bool drained_something, const std::function<bool()>& still_empty,
                          std::optional<std::chrono::nanoseconds> at_most) {
  // Rounded up: waking before the time would spin through its last millisecond.
  constexpr std::int64_t longest_ms = 3'600'000;
  const auto limit_ms =
      at_most ? std::clamp<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(*at_most).count(), 0, longest_ms)
              : std::int64_t{-1};
  state_.exchange(drained_something ? collecting : idle, std::memory_order_acq_rel);
  if (drained_something || still_empty()) {
    pollfd waiting{.fd = eventfd_.get(), .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, drained_something ? static_cast<int>(collect_time.count()) : static_cast<int>(limit_ms));
  }
  state_.exchange(busy, std::memory_order_acq_rel);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(eventfd_.get(), &count, sizeof count);
}

}  // namespace weir::event
