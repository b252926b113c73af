#include "net/descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "base/fd.h"

namespace weir::net {
namespace {

// Of the process, as its limit is.
std::atomic<int> ceiling{no_descriptor_ceiling};
std::atomic<int> promised{0};
std::atomic<bool> short_when_seen{false};

auto would_be_kept(int fd) -> bool {
  return fd >= ceiling.load(std::memory_order_relaxed) - promised.load(std::memory_order_relaxed);
}

}  // namespace

auto raise_descriptor_limit() -> std::uint64_t {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

void make_room_for_descriptors(int count) {
  const Fd any(::open("/", O_PATH | O_CLOEXEC));
  const Fd high(::fcntl(any.get(), F_DUPFD_CLOEXEC, count - 1));  // fails beyond the limit, and nothing is lost
}

void keep_descriptors_for_control() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t most = std::min<rlim_t>(limit.rlim_cur, no_descriptor_ceiling);
  set_descriptor_ceiling(static_cast<int>(most - std::min<rlim_t>(most / 4, 1200)));
}

void set_descriptor_ceiling(int first_kept) {
  ceiling.store(first_kept, std::memory_order_relaxed);
  short_when_seen.store(false, std::memory_order_relaxed);
}

PromisedDescriptor::PromisedDescriptor() { promised.fetch_add(1, std::memory_order_relaxed); }
PromisedDescriptor::~PromisedDescriptor() { promised.fetch_sub(1, std::memory_order_relaxed); }

auto is_kept_descriptor(int fd) -> bool {
  if (!would_be_kept(fd)) return false;
  short_when_seen.store(true, std::memory_order_relaxed);
  return true;
}

auto descriptors_are_short() -> bool {
  if (!short_when_seen.load(std::memory_order_relaxed)) return false;
  const int next = ::open("/", O_PATH | O_CLOEXEC);
  if (next >= 0) ::close(next);
  const bool is_short = next < 0 || would_be_kept(next);
  if (!is_short) short_when_seen.store(false, std::memory_order_relaxed);
  return is_short;
}

}  // namespace weir::net
