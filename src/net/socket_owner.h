// Whose a socket is, and what its process does: from /proc, where that shows it (one's own processes; all, for root).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"

namespace weir::net {

struct ProcessState {
  std::uint32_t pid = 0;
  char state = '?';  // of its first thread, as ps(1) shows it: R runs or waits for a CPU, S sleeps, T is stopped
  std::uint32_t threads = 0;  // at most SocketOwners::most_threads are counted
  Nanos cpu_wait{};           // how long its threads have waited for a CPU since their start: of the longest
};

// Finds the processes of sockets by their inodes. It remembers which process had which, and looks at all of /proc at
// most once a second. One thread at a time.
class SocketOwners {
 public:
  // The process that has the socket; none: /proc does not show it, or it was looked for too lately.
  [[nodiscard]] auto find(std::uint32_t inode, MonoTime now) -> std::optional<ProcessState>;
  // None: there is no such process.
  [[nodiscard]] static auto state_of(std::uint32_t pid) -> std::optional<ProcessState>;

  static constexpr Nanos between_scans = std::chrono::seconds{1};
  static constexpr std::size_t most_descriptors = 4000;  // of one scan; the next goes on behind it
  static constexpr std::size_t most_threads = 64;
  static constexpr std::size_t most_known = 1024;  // sockets

 private:
  auto pid_of(std::uint32_t inode, MonoTime now) -> std::optional<std::uint32_t>;
  std::map<std::uint32_t, std::uint32_t> known_;  // inode -> pid
  std::vector<std::uint32_t> recent_;             // pids of which some socket was asked, the last first
  std::optional<MonoTime> scanned_;
  std::uint32_t scanned_to_ = 0;  // the process at which the last scan had looked at enough; 0: it saw all
};

}  // namespace weir::net
