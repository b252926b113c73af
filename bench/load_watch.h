#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "load_json.h"

namespace weir::load {

// What other processes cost during the measured window, sampled at its two edges by the load
// generator itself, so that no start-up, warm-up or tear-down is counted.
//
// A group is `NAME=PID[,PID...]`: those processes and all their descendants at the window's start.
// CPU is the sum of the first field (ns on a CPU) of /proc/PID/task/*/schedstat: every thread, user
// and kernel. /proc/PID/schedstat would be the leader thread alone. A running thread's figure is
// brought up to date at its next tick or switch: at most 4 ms late at HZ=250, at either edge.
class Watch {
 public:
  explicit Watch(const std::vector<std::string>& groups);  // throws UsageError
  void begin();
  void end();
  // Adds cpu_ns {NAME: ns, "self": ns}, pss_kib {NAME: KiB at end()}, and from /proc/stat, which
  // counts whole ticks, steal_share and busy_ns over all CPUs (steal_share of all CPU time).
  void add_to(Json& json) const;

 private:
  struct Group {
    std::string name;
    std::vector<int> roots;
    std::vector<int> processes;  // roots and descendants, found at begin()
    std::uint64_t cpu_begin = 0;
    std::uint64_t cpu_end = 0;
    std::uint64_t pss_kib = 0;
  };
  struct Ticks {
    std::uint64_t busy = 0;
    std::uint64_t steal = 0;
    std::uint64_t all = 0;
  };
  static auto read_ticks() -> Ticks;

  std::vector<Group> groups_;
  Ticks ticks_begin_;
  Ticks ticks_end_;
  std::uint64_t self_begin_ = 0;
  std::uint64_t self_end_ = 0;
};

}  // namespace weir::load
