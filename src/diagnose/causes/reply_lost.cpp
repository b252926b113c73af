#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/by_packets.h"
#include "diagnose/cause.h"
#include "diagnose/transport.h"

namespace weir::diagnose {
namespace {

// It comes sooner behind the segment that was sent again than the path permits: it answers the first one.
auto comes_too_soon(const Pause& pause, const Sending& sent) -> bool {
  constexpr Nanos tick = std::chrono::milliseconds{4};
  if (pause.segment != Segment::server_answers || !sent.knows_both() || !sent.after().since_sent) return false;
  return *sent.after().since_sent + tick < sent.after().least_round_trip;
}

}  // namespace

const CauseInfo reply_lost_cause{
    .name = "reply_lost",
    .doc = "The peer had what was sent to it; its answer was lost on the way back",
    .signals =
        "The leg's count of retransmitted segments grew while its answer was waited for, and the peer said that it had "
        "such a segment before (DSACK), or its answer came sooner behind the last one than the path permits",
    .look_alikes = "A request that was lost (loss): the peer has it once then",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.packets) return reply_lost_by_packets(pause);
      const auto sent = sending(pause);
      if (!sent || pause.segment == Segment::passes) return std::nullopt;
      const auto again = sent->grown(&event::LegCounters::total_retransmits);
      const auto needless = sent->grown(&event::LegCounters::needless);
      if (again == 0 || (needless < again && !comes_too_soon(pause, *sent))) return std::nullopt;
      // A probe that was needless says nothing of an answer that came before a timeout could have asked for it again.
      if (pause.length < least_timeout) return std::nullopt;
      return Finding{
          .side = path_of(sent->leg),
          .certainty = Certainty::shown,
          .text = fmt::format("lost the answer of the {}, which had what was sent to it", to_string(sent->leg)),
          .fix = "look at the path's losses, on the way back",
          .evidence = {{"retransmits", again}, {"needless", needless}}};
    }};

}  // namespace weir::diagnose
