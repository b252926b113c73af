// How many descriptors the process may have, and which of them are for whom.
#pragma once

#include <cstdint>
#include <limits>

namespace weir::net {

// Raises the soft limit of open files to the hard one; returns the soft limit then.
auto raise_descriptor_limit() -> std::uint64_t;

// Has the kernel's table of our open files hold as many, before there are threads: with threads, whoever opens the file
// for which it has to grow waits for a grace period of RCU (expand_fdtable), tens of milliseconds on a busy machine,
// and so does everybody who opens a file meanwhile. 8 bytes each.
void make_room_for_descriptors(int count);

// Of the limit that holds now, keeps some for what rules the proxies - the API, its files, the log - so that no load of
// clients can take them: a quarter, and at most 1,200. What clients cause (sessions, pipes) and proxies' listeners stop
// short of these. Called once, before threads are started; without it nothing is kept.
void keep_descriptors_for_control();
// The first number that is kept: the kernel gives the lowest number that is free (POSIX, open), so one that is not
// lower says that all lower ones are taken.
void set_descriptor_ceiling(int first_kept);
inline constexpr int no_descriptor_ceiling = std::numeric_limits<int>::max();

// One descriptor that is about to be made: a client that was accepted will have a connection to its upstream. It
// counts as made from the beginning of this object to its end. Any thread.
class PromisedDescriptor {
 public:
  PromisedDescriptor();
  ~PromisedDescriptor();
  PromisedDescriptor(const PromisedDescriptor&) = delete;
  auto operator=(const PromisedDescriptor&) -> PromisedDescriptor& = delete;
};

// Is the number one of those that are kept, or will be when all that are promised are made? Notes it if so. Any thread.
[[nodiscard]] auto is_kept_descriptor(int fd) -> bool;
// Would a new one be kept? Asks the kernel only if one was, since it last said no. Any thread.
[[nodiscard]] auto descriptors_are_short() -> bool;

}  // namespace weir::net
