#include "proxy/bulk_scheduling.h"

#include <sched.h>

namespace weir::proxy {

auto KernelThreadScheduling::policy() const -> ThreadPolicy {
  switch (::sched_getscheduler(0)) {
    case SCHED_OTHER: return ThreadPolicy::normal;
    case SCHED_BATCH: return ThreadPolicy::batch;
    default: return ThreadPolicy::foreign;
  }
}

auto KernelThreadScheduling::set(ThreadPolicy policy) -> bool {
  const sched_param none{};
  return ::sched_setscheduler(0, policy == ThreadPolicy::batch ? SCHED_BATCH : SCHED_OTHER, &none) == 0;
}

void BulkScheduling::moved(std::uint64_t spliced) {
  const MonoTime now = loop_.now();
  last_moved_ = now;
  if (!is_batch_ && !is_refused_) {
    if (now - window_since_ > window) {
      window_since_ = now;
      at_window_ = seen_;
    }
    if (spliced - at_window_ >= bulk) {
      is_batch_ = thread_.policy() == ThreadPolicy::normal && thread_.set(ThreadPolicy::batch);
      is_refused_ = !is_batch_;
      if (is_batch_) loop_.wheel().arm(*this, now + rest);
    }
  }
  seen_ = spliced;
}

void BulkScheduling::on_timer() {
  const MonoTime end = last_moved_ + rest;
  if (loop_.now() < end) return loop_.wheel().arm(*this, end);
  (void)thread_.set(ThreadPolicy::normal);  // mutant: batch-for-ever
  is_batch_ = false;
}

}  // namespace weir::proxy
