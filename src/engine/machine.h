// What this process may use of its machine: the machine has it, and its control group (cgroup v2, every level up to the
// root) leaves it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::engine {

// How many workers can run at once: the processors this process may use (sched_getaffinity(2)), and
// no more than its control group's quota allows (cpu.max), rounded up. At least 1.
[[nodiscard]] auto usable_cores() -> unsigned;
// The quota of one cpu.max file's content, in cores; 0 if there is none ("max 100000") or it cannot
// be read.
[[nodiscard]] auto cores_of_cpu_max(std::string_view content) -> double;

// Bytes of memory that this process may have: the machine's, or its control group's (memory.max) or its own limit
// (RLIMIT_AS) where that is less.
[[nodiscard]] auto usable_memory() -> std::uint64_t;
// The content of one memory.max file; none if there is no limit ("max") or it cannot be read.
[[nodiscard]] auto bytes_of_memory_max(std::string_view content) -> std::optional<std::uint64_t>;

// What all faults together may hold unless the user says otherwise: 1 GiB, or a quarter of the usable memory where that
// is less.
[[nodiscard]] auto default_fault_bytes() -> std::uint64_t;

}  // namespace weir::engine
