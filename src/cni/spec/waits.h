#pragma once

#include <cstdint>

namespace weir::cni {

// Every wait of a plugin ends: whoever waits for it (a runtime, a node's agent) holds up a container, or the whole
// node. These are the longest ones, in seconds; after them comes an error with the code 11, "try again later".
constexpr int longest_lock_wait_s = 10;      // for the leases' lock, or one of our own (bridge/host_lock.h)
constexpr int longest_ipam_s = 30;           // another IPAM plugin's whole run
constexpr int longest_ipam_undo_s = 10;      // its DEL, after an ADD that failed
constexpr int longest_iptables_s = 20;       // one run of a program of iptables'
constexpr int longest_input_s = 60;          // for the end of stdin, and for a reader of stdout
constexpr int longest_kernel_answer_s = 10;  // for an answer to a netlink message

// Milliseconds of a clock that nobody sets.
[[nodiscard]] auto clock_ms() -> std::int64_t;

// flock(2), for `seconds` at most. False, and errno says why: EWOULDBLOCK if the time is up. Whoever waits longest
// comes first, as the kernel has it. The process's SIGALRM and ITIMER_REAL are used meanwhile.
[[nodiscard]] auto lock_within(int file, int how, int seconds) -> bool;

}  // namespace weir::cni
