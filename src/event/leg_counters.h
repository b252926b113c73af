// The kernel's counters of one leg: the fields of TCP_INFO (tcp(7), linux/tcp.h) by which lost time is explained.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/ids.h"

namespace weir::event {

// When they were read.
enum class ProbePoint : std::uint8_t {
  opened,  // both legs are connected
  moved,   // bytes were read or written, and the last time they were told is a while ago: see below
  close,   // before it is closed
  asked,   // an observer asked
};

// Bytes that end a silence of the session of at least so long have both legs' counters told. Two calls cost 1.5 us, and
// a small request 11: at each read they are a third of it, and on a busy loop a silence of a millisecond is at each.
inline constexpr Nanos told_after_silence = std::chrono::milliseconds{5};
// As bytes move without such a silence, they are told this often.
inline constexpr Nanos told_while_moving = std::chrono::milliseconds{10};
// Behind so long a silence they are told in any case; else as often as the loop's budget permits, which is all but
// always below some thousand exchanges a second.
inline constexpr Nanos always_told_after = std::chrono::milliseconds{30};

// A field that this kernel does not know is 0. Counts are of the whole connection so far.
struct LegCounters {
  LegName leg{};
  ProbePoint point{};
  std::uint8_t congestion_state = 0;  // tcpi_ca_state: 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss
  std::uint8_t retransmits = 0;       // of the segment that waits now
  std::uint8_t backoff = 0;           // how often its timer has doubled
  std::uint8_t probes = 0;            // of a full window, or of a silent peer: those that no answer has come to
  std::uint32_t send_mss = 0;         // bytes
  std::uint32_t receive_mss = 0;
  std::uint32_t unacknowledged = 0;     // segments on the way
  std::uint32_t congestion_window = 0;  // segments
  std::uint32_t total_retransmits = 0;  // segments
  std::uint32_t total_timeouts = 0;     // tcpi_total_rto, since Linux 6.7
  std::uint32_t needless = 0;           // tcpi_dsack_dups: the peer says that it had a segment before
  std::uint32_t selectively_acked = 0;  // tcpi_sacked: segments on the way that arrived behind a hole
  std::uint32_t taken_as_lost = 0;      // tcpi_lost: segments on the way
  std::uint32_t unsent_bytes = 0;       // tcpi_notsent_bytes: written, and never sent yet
  std::uint32_t peer_window = 0;        // tcpi_snd_wnd, bytes; 0 too where the kernel does not tell
  std::uint32_t own_window = 0;         // tcpi_rcv_wnd, bytes, since Linux 6.2
  std::uint32_t data_segments_in = 0;
  std::uint32_t data_segments_out = 0;
  std::uint32_t out_of_order_in = 0;  // tcpi_rcv_ooopack
  std::uint64_t delivery_rate = 0;    // bytes a second, of the newest sample
  std::uint64_t bytes_acknowledged = 0;
  std::uint64_t bytes_received = 0;
  Nanos round_trip{};  // smoothed
  Nanos round_trip_variance{};
  Nanos least_round_trip{};    // tcpi_min_rtt
  Nanos retransmit_timeout{};  // tcpi_rto
  Nanos ack_timeout{};         // tcpi_ato: how long this kernel may delay an acknowledgement
  // How long ago bytes were sent last, or sent again, in ticks of 4 ms; none: not yet.
  std::optional<Nanos> since_sent{};
  Nanos busy{};            // with data to send
  Nanos window_limited{};  // of busy: the peer's window was full
  Nanos buffer_limited{};  // of busy: our send buffer was full
  Nanos held_up{};         // not the kernel's: how long the session stood still as an observer's ring was full
};

}  // namespace weir::event
