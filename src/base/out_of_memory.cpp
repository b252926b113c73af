#include "base/out_of_memory.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <string_view>

namespace weir {
namespace {

std::atomic<std::uint64_t> count{0};
std::atomic<std::int64_t> told_at{0};  // seconds of the steady clock; 0: never

}  // namespace

void note_out_of_memory() noexcept {
  count.fetch_add(1, std::memory_order_relaxed);
  using std::chrono::duration_cast;
  using std::chrono::seconds;
  const std::int64_t now = duration_cast<seconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  std::int64_t before = told_at.load(std::memory_order_relaxed);
  constexpr std::int64_t say_at_most = 10;
  if (before != 0 && now < before + say_at_most) return;
  if (!told_at.compare_exchange_strong(before, now, std::memory_order_relaxed)) return;
  constexpr std::string_view line =
      "weir: memory has run out, and what needed it was given up: raise the limit (ulimit -v, the container's) or let "
      "fewer sessions in (max_sessions)\n";
  const int error = errno;
  (void)!::write(STDERR_FILENO, line.data(), line.size());
  errno = error;
}

auto out_of_memory_count() noexcept -> std::uint64_t { return count.load(std::memory_order_relaxed); }

}  // namespace weir
