#pragma once

#include <string>
#include <string_view>

namespace weir::engine {

// How many workers can run at once: the processors this process may use (sched_getaffinity(2)), and
// no more than its control group's quota allows (cpu.max of cgroup v2, every level up to the root),
// rounded up. At least 1.
[[nodiscard]] auto usable_cores() -> unsigned;

// The quota of one cpu.max file's content, in cores; 0 if there is none ("max 100000") or it cannot
// be read.
[[nodiscard]] auto cores_of_cpu_max(std::string_view content) -> double;

}  // namespace weir::engine
