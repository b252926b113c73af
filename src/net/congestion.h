// Which congestion control a TCP leg of Weir's gets (TCP_CONGESTION, tcp(7)).
#pragma once

#include <string_view>

#include "base/address.h"
#include "base/result.h"

namespace weir::net {

// Words for a choice; any other text is the name of one of the kernel's algorithms.
// `auto`: the system's own, but where that one paces its segments (bbr) and the peer is on this host's loopback, reno.
// Pacing shares out a bottleneck, of which loopback has none, and costs a timer per segment: some 40 % of a relay's
// processor time and half of its throughput.
constexpr std::string_view automatic_congestion_control = "auto";
constexpr std::string_view system_congestion_control = "system";

// TCP_CA_NAME_MAX of the kernel, without the NUL.
constexpr std::size_t longest_congestion_control = 15;

// Before listen(2) or connect(2): pacing that has begun once goes on with the next algorithm too. Sockets that are
// accepted inherit the listener's. `where`: what it listens on, or connects to. Fails where the kernel does not have
// the algorithm, or lets root alone choose it; the error says so.
[[nodiscard]] auto choose_congestion_control(int fd, std::string_view choice, const Address& where) -> Result<void>;

// The same for a listener that had another choice before; best effort.
void change_congestion_control(int fd, std::string_view choice, const Address& where);

// For a socket that was accepted by one that listens on more than loopback, and so inherited a choice made for clients
// of other hosts; best effort, and no call to the kernel where nothing is to be done. The kernel goes on pacing it.
void choose_accepted_congestion_control(int fd, std::string_view choice, const Address& client);

// Whether this process may have it, in the network namespace that it runs in. Anything but a kernel's name may be had.
[[nodiscard]] auto may_have_congestion_control(std::string_view choice) -> Result<void>;

}  // namespace weir::net
