#include "proxy/leg_counters.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace weir::proxy {
namespace {

auto microseconds(std::uint64_t count) -> Nanos { return std::chrono::microseconds{count}; }

// The kernel says this of a round trip that it has not measured yet.
auto round_trip(std::uint32_t count) -> Nanos {
  constexpr std::uint32_t unknown = ~std::uint32_t{0};
  return count == unknown ? Nanos{0} : microseconds(count);
}

}  // namespace

auto tcp_counters(int fd) -> std::optional<event::LegCounters> {
  // The struct only ever grows at its end, and the kernel says how much of it it has filled: what an older one does
  // not know stays 0. All that is read here stands in the header of Linux 5.4, which ends at tcpi_snd_wnd.
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return std::nullopt;
  event::LegCounters counters;
  counters.congestion_state = info.tcpi_ca_state;
  counters.retransmits = info.tcpi_retransmits;
  counters.backoff = info.tcpi_backoff;
  counters.send_mss = info.tcpi_snd_mss;
  counters.receive_mss = info.tcpi_rcv_mss;
  counters.unacknowledged = info.tcpi_unacked;
  counters.congestion_window = info.tcpi_snd_cwnd;
  counters.total_retransmits = info.tcpi_total_retrans;
  counters.unsent_bytes = info.tcpi_notsent_bytes;
  counters.peer_window = info.tcpi_snd_wnd;
  counters.data_segments_in = info.tcpi_data_segs_in;
  counters.data_segments_out = info.tcpi_data_segs_out;
  counters.out_of_order_in = info.tcpi_rcv_ooopack;
  counters.bytes_acknowledged = info.tcpi_bytes_acked;
  counters.bytes_received = info.tcpi_bytes_received;
  counters.round_trip = round_trip(info.tcpi_rtt);
  counters.round_trip_variance = round_trip(info.tcpi_rttvar);
  counters.least_round_trip = round_trip(info.tcpi_min_rtt);
  counters.retransmit_timeout = microseconds(info.tcpi_rto);
  counters.ack_timeout = microseconds(info.tcpi_ato);
  counters.busy = microseconds(info.tcpi_busy_time);
  counters.window_limited = microseconds(info.tcpi_rwnd_limited);
  counters.buffer_limited = microseconds(info.tcpi_sndbuf_limited);
  return counters;
}

}  // namespace weir::proxy
