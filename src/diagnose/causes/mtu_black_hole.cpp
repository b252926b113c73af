#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"
#include "diagnose/peer_evidence.h"
#include "diagnose/transport.h"

namespace weir::diagnose {

namespace {

auto finding(LegName leg, Certainty certainty, std::uint32_t size, std::vector<Evidence> evidence) -> Finding {
  return {.side = path_of(leg),
          .certainty = certainty,
          .text = fmt::format("drops packets with {} bytes and more, and lets small ones pass", size),
          .fix = "lower the MTU or the MSS, let ICMP pass, or set net.ipv4.tcp_mtu_probing=1",
          .evidence = std::move(evidence)};
}

}  // namespace

const CauseInfo mtu_black_hole_cause{
    .name = "mtu_black_hole",
    .doc = "Packets above a size vanish on the path, and nobody says so",
    .signals =
        "Full segments were sent again and again, while a short one behind them had arrived (SACK), as Weir's own "
        "socket "
        "says while it lasts; or the kernel found a smaller size that passes",
    .look_alikes = "A path that is gone (path_gone): short segments do not arrive either",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const auto sent = sending(pause);
      if (!sent) return std::nullopt;
      const PeerState* own = last_own_look(pause, sent->leg);
      if (own != nullptr && loses_full_segments(*own)) {
        return finding(sent->leg, Certainty::shown, own->send_mss,
                       {{"unacknowledged", own->unacknowledged},
                        {"arrived", own->selectively_acked},
                        {"timer_doubled", own->backoff},
                        {"mss", own->send_mss}});
      }
      if (!sent->knows_both()) return std::nullopt;
      const auto again = sent->grown(&event::LegCounters::total_retransmits);
      if (again < 2 || sent->after().send_mss >= sent->before().send_mss) return std::nullopt;
      return finding(
          sent->leg, Certainty::shown, sent->before().send_mss,
          {{"retransmits", again}, {"mss_before", sent->before().send_mss}, {"mss", sent->after().send_mss}});
    },
    .judge_unanswered = [](const Pause& pause) -> std::optional<Finding> {
      constexpr std::uint32_t least_full = 1000;  // bytes; a smaller segment passes everywhere
      const auto sent = sending(pause);
      if (!sent || !sent->evidence->after) return std::nullopt;
      const event::LegCounters& last = sent->after();
      const bool hole = last.unacknowledged > last.selectively_acked && last.selectively_acked > 0 &&
                        last.taken_as_lost > 0 && last.backoff >= 1 && last.send_mss >= least_full;
      if (!hole) return std::nullopt;
      return finding(sent->leg, Certainty::likely, last.send_mss,
                     {{"unacknowledged", last.unacknowledged},
                      {"arrived", last.selectively_acked},
                      {"timer_doubled", last.backoff},
                      {"mss", last.send_mss}});
    }};

}  // namespace weir::diagnose
