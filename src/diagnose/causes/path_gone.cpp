#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"
#include "diagnose/transport.h"

namespace weir::diagnose {

const CauseInfo path_gone_cause{
    .name = "path_gone",
    .doc = "The path or the peer's host was gone for a while: what was sent again was lost again",
    .signals =
        "The timer of the same bytes ran out twice and more, each time after twice as long, with nothing acknowledged "
        "in between",
    .look_alikes =
        "A lone lost packet (loss): sent again once. Large packets that vanish (mtu_black_hole): a small one behind "
        "them arrived. A full accept queue (accept_queue_full): the peer's first request, so only `likely` there",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      // 200 ms and 400 ms, the least that two timers take.
      constexpr Nanos least = std::chrono::milliseconds{600};
      const auto sent = sending(pause);
      if (!sent || !sent->knows_both() || pause.length < least) return std::nullopt;
      const auto again = sent->grown(&event::LegCounters::total_retransmits);
      const bool counts_timeouts = sent->after().total_timeouts > 0;
      const auto timeouts = counts_timeouts ? sent->grown(&event::LegCounters::total_timeouts) : again;
      if (again < 2 || timeouts < 2) return std::nullopt;
      const bool has_heard = sent->before().bytes_received > 0;
      return Finding{
          .side = path_of(sent->leg),
          .certainty = has_heard ? Certainty::shown : Certainty::likely,
          .text = fmt::format("was gone for {}: what was sent again was lost again", format_duration(pause.length)),
          .fix = "look at the path, and whether the peer's host was up",
          .evidence = {{"retransmits", again}, {"timeouts", timeouts}}};
    },
    .judge_unanswered = [](const Pause& pause) -> std::optional<Finding> {
      const auto sent = sending(pause);
      if (!sent || !sent->evidence->after) return std::nullopt;
      const event::LegCounters& last = sent->after();
      const bool gone = last.unacknowledged > 0 && last.backoff >= 2 && last.selectively_acked == 0;
      if (!gone || last.peer_window == 0) return std::nullopt;
      return Finding{.side = path_of(sent->leg),
                     .certainty = last.bytes_received > 0 ? Certainty::shown : Certainty::likely,
                     .text = "is gone: what was sent, and sent again, was never acknowledged",
                     .fix = "look at the path, and whether the peer's host is up",
                     .evidence = {{"unacknowledged", last.unacknowledged},
                                  {"timer_doubled", last.backoff},
                                  {"timer_ns", last.retransmit_timeout.count()}}};
    }};

}  // namespace weir::diagnose
