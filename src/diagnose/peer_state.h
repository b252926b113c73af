// What the other end of a leg says of itself: its own socket, on the same host, looked at while an exchange was slow.
// Where it is on another host, what Weir's end says instead.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/ids.h"
#include "event/event.h"

namespace weir::diagnose {

// The process that has the socket, where /proc shows it.
struct PeerProcess {
  std::uint32_t pid = 0;
  std::uint32_t threads = 0;
  bool is_stopped = false;  // by a signal or a debugger
  Nanos cpu_wait{};         // since its start: how long it could run and had no CPU
};

// The peer's socket at one moment, or Weir's own of that leg.
struct PeerState {
  enum class Kind : std::uint8_t {
    connected,  // established, or the peer knows that we have sent our last byte
    opening,    // the kernel has not made a socket of the connection yet: its handshake is not done
    listening,  // no socket of the connection is there: these are the listener's queues
    other,      // it is being closed
  };
  Kind kind{};
  std::uint8_t timer = 0;            // 0 none, 1 retransmission, 2 keepalive, 3 time-wait, 4 window probe
  std::uint8_t retransmits = 0;      // of what the timer is for
  std::uint32_t receive_queue = 0;   // bytes that the process has not read; listening: connections not accepted
  std::uint32_t send_queue = 0;      // bytes not acknowledged, unsent ones included; listening: as many may wait
  std::uint32_t inode = 0;           // 0: no process has it: it was not accepted
  std::uint32_t unacknowledged = 0;  // segments on the way
  std::uint32_t unsent_bytes = 0;
  std::uint32_t send_mss = 0;
  std::uint32_t congestion_window = 0;  // segments
  std::uint32_t peer_window = 0;        // bytes that Weir's kernel would take
  std::uint32_t selectively_acked = 0;  // segments on the way that arrived behind a hole
  std::uint8_t backoff = 0;             // how often the timer of what waits now has doubled
  Nanos timer_left{};                   // until the timer runs out
  Nanos retransmit_timeout{};
  // Of the listener, where the socket is not accepted; none: it was not asked.
  std::optional<std::uint32_t> accept_queue{};
  std::uint32_t accept_limit = 0;
  std::uint32_t owner = 0;  // the inode by which its process is found: the listener's, where it is not accepted
  std::optional<PeerProcess> process{};

  // The peer's kernel holds bytes back though the window and the congestion window would let them go, as they fill no
  // segment: Nagle, while earlier bytes are unacknowledged; else a cork.
  [[nodiscard]] auto holds_back() const -> bool {
    return kind == Kind::connected && unsent_bytes > 0 && unsent_bytes < send_mss &&
           unacknowledged < congestion_window && peer_window > send_queue;
  }
};

// One look.
struct PeerLook {
  MonoTime time{};
  LegName leg{};
  PeerState state;
};

// How a diagnosis looks at peers' sockets; called on the observer's thread. Empty: it does not.
struct PeerEyes {
  std::function<MonoTime()> now{};
  std::function<bool(const Address&)> is_here{};  // is the address one of this host's?
  // `leg.local` with port 0: the listener at leg.peer is looked at. None: no socket was found.
  std::function<std::optional<PeerState>(const event::LegAddresses& leg)> look{};
  // Whose is the socket of this inode? It may take some milliseconds, once a second. None: /proc does not show it.
  std::function<std::optional<PeerProcess>(std::uint32_t inode)> owner{};
  std::function<std::optional<PeerProcess>(std::uint32_t pid)> process{};
  [[nodiscard]] explicit operator bool() const { return now && is_here && look; }
};

}  // namespace weir::diagnose
