#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/by_packets.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

namespace {

// When Linux sends a SYN again: after 1, 2, 3, 4 and 5 s since 6.5 (tcp_syn_linear_timeouts), else after 1, 3 and 7 s.
auto is_syn_timer(Nanos length) -> bool {
  for (const int at : {1, 2, 3, 4, 5, 7, 15}) {
    const Nanos off = length - std::chrono::seconds{at};
    if (off >= std::chrono::milliseconds{-20} && off <= std::chrono::milliseconds{300}) return true;
  }
  return false;
}

}  // namespace

const CauseInfo syn_lost_cause{
    .name = "syn_lost",
    .doc = "The connection request was lost or dropped, and was sent again",
    .signals = "connect(2) took 1, 2, 3 ... s, or as long as the timeout, and a segment was sent again before any data",
    .look_alikes = "A slow name: it is timed apart",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.packets) return syn_lost_by_packets(pause);
      if (pause.segment != Segment::connecting || !pause.connect || !is_syn_timer(pause.connect->last_attempt)) {
        return std::nullopt;
      }
      const bool again = pause.sink.after && pause.sink.after->total_retransmits > 0;
      return Finding{.side = Side::server_path,
                     .certainty = again ? Certainty::shown : Certainty::likely,
                     .text = "dropped the connection request: its accept queue is full, or a filter is in the way",
                     .fix = "accept faster, raise the backlog and net.core.somaxconn, or look for a firewall",
                     .evidence = {{"connect_ns", pause.connect->last_attempt.count()},
                                  {"retransmits", again ? pause.sink.after->total_retransmits : 0}}};
    }};

}  // namespace weir::diagnose
