#include "proxy/leg_counters.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>

namespace weir::proxy {
namespace {

auto microseconds(std::uint64_t count) -> Nanos { return std::chrono::microseconds{count}; }

// The kernel says this of a round trip that it has not measured yet.
auto round_trip(std::uint32_t count) -> Nanos {
  constexpr std::uint32_t unknown = ~std::uint32_t{0};
  return count == unknown ? Nanos{0} : microseconds(count);
}

// Fields behind tcpi_snd_wnd, with which the struct of the headers that this is built with ends.
constexpr std::size_t known_end = offsetof(tcp_info, tcpi_snd_wnd) + sizeof(std::uint32_t);
constexpr std::size_t receive_window_at = known_end;                              // tcpi_rcv_wnd, Linux 6.2
constexpr std::size_t total_timeouts_at = known_end + 2 * sizeof(std::uint32_t);  // tcpi_total_rto, Linux 6.7

// 0 where the kernel did not fill it.
template <class T>
auto field(std::span<const std::byte> filled, std::size_t at) -> T {
  T value{};
  if (at + sizeof value <= filled.size()) std::memcpy(&value, filled.data() + at, sizeof value);
  return value;
}

}  // namespace

auto tcp_counters(int fd) -> std::optional<event::LegCounters> {
  // The struct only ever grows at its end, and the kernel says how much of it it has filled: what an older one does
  // not know stays 0, and what the headers do not name is read by its place.
  std::array<std::byte, 512> bytes{};
  socklen_t length = bytes.size();
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, bytes.data(), &length) != 0) return std::nullopt;
  const auto filled = std::span<const std::byte>(bytes).first(length);
  tcp_info info{};
  std::memcpy(&info, bytes.data(), sizeof info);
  event::LegCounters counters;
  counters.congestion_state = info.tcpi_ca_state;
  counters.retransmits = info.tcpi_retransmits;
  counters.backoff = info.tcpi_backoff;
  counters.probes = info.tcpi_probes;
  counters.send_mss = info.tcpi_snd_mss;
  counters.receive_mss = info.tcpi_rcv_mss;
  counters.unacknowledged = info.tcpi_unacked;
  counters.congestion_window = info.tcpi_snd_cwnd;
  counters.total_retransmits = info.tcpi_total_retrans;
  counters.total_timeouts = field<std::uint16_t>(filled, total_timeouts_at);
  counters.needless = info.tcpi_dsack_dups;
  if (info.tcpi_data_segs_out > 0) counters.since_sent = std::chrono::milliseconds{info.tcpi_last_data_sent};
  counters.selectively_acked = info.tcpi_sacked;
  counters.taken_as_lost = info.tcpi_lost;
  counters.unsent_bytes = info.tcpi_notsent_bytes;
  counters.peer_window = info.tcpi_snd_wnd;
  counters.own_window = field<std::uint32_t>(filled, receive_window_at);
  counters.data_segments_in = info.tcpi_data_segs_in;
  counters.data_segments_out = info.tcpi_data_segs_out;
  counters.out_of_order_in = info.tcpi_rcv_ooopack;
  counters.delivery_rate = info.tcpi_delivery_rate;
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
