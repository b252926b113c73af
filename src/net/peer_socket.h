// What this host's kernel says of a TCP socket that is another process's (sock_diag(7), inet_diag): without privilege,
// for 2.5 us a look-up, and in this network namespace alone.
#pragma once

#include <cstdint>
#include <optional>

#include "base/address.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace weir::net {

// The states of TCP, by the kernel's numbers (linux/tcp_states.h).
enum class TcpState : std::uint8_t {
  established = 1,
  syn_sent,
  syn_received,
  fin_wait1,
  fin_wait2,
  time_wait,
  closed,
  close_wait,
  last_ack,
  listening,
  closing,
};

// One socket, at the moment at which it was looked at.
struct PeerSocket {
  TcpState state{};
  std::uint8_t timer = 0;            // 0 none, 1 retransmission, 2 keepalive, 3 time-wait, 4 window probe
  std::uint8_t retransmits = 0;      // of what the timer is for
  std::uint32_t receive_queue = 0;   // bytes that its process has not read; of a listener: connections not yet accepted
  std::uint32_t send_queue = 0;      // bytes not acknowledged, unsent ones included; of a listener: how many may wait
  std::uint32_t inode = 0;           // 0: no process has it, as it was not accepted yet or is closed
  std::uint32_t unacknowledged = 0;  // segments on the way
  std::uint32_t unsent_bytes = 0;
  std::uint32_t send_mss = 0;
  std::uint32_t congestion_window = 0;  // segments
  std::uint32_t peer_window = 0;        // bytes that its peer would take; 0 too where the kernel does not tell
  std::uint32_t selectively_acked = 0;  // segments on the way that arrived behind a hole
  std::uint8_t backoff = 0;             // how often the timer of what waits now has doubled
  Nanos timer_left{};                   // until the timer runs out
  Nanos retransmit_timeout{};
};

// Looks sockets up, over one netlink socket that it keeps. One thread at a time.
class PeerSockets {
 public:
  // An Error: this kernel has no inet_diag, or no descriptor was left.
  [[nodiscard]] static auto open() -> Result<PeerSockets>;

  // The socket bound to `own` and connected to `peer`. Where there is none but a listener at `own`, that one; it is
  // what is asked for where `peer` has port 0. None: it is on another host, in another network namespace, or gone.
  [[nodiscard]] auto find(const Address& own, const Address& peer) -> Result<std::optional<PeerSocket>>;

 private:
  explicit PeerSockets(Fd netlink) : netlink_(std::move(netlink)) {}
  Fd netlink_;
  std::uint32_t sequence_ = 0;
};

// Is this IP address one of this host's, in this network namespace? Asks the kernel, by a socket that is bound to it.
[[nodiscard]] auto is_local(const Address& address) -> bool;

}  // namespace weir::net
