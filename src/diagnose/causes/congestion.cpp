#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"
#include "diagnose/transport.h"

namespace weir::diagnose {

const CauseInfo congestion_cause{
    .name = "congestion",
    .doc = "The path loses packets of a transfer, and the sender slows down for it",
    .signals =
        "Data was on the way for most of the time, of thirty segments and more some were sent again, and the "
        "peer's window was open",
    .look_alikes = "A lone lost packet (loss): few were sent. A cold connection (slow_start): none is sent again",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      constexpr std::uint32_t many = 30;
      const auto sent = sending(pause);
      if (!sent || !sent->knows_both() || !sent->is_busy() || sent->is_window_limited()) return std::nullopt;
      const auto again = sent->grown(&event::LegCounters::total_retransmits);
      const auto all = sent->grown(&event::LegCounters::data_segments_out);
      if (again == 0 || all < many) return std::nullopt;
      return Finding{
          .side = path_of(sent->leg),
          .certainty = Certainty::shown,
          .text = fmt::format("loses {:.1f} % of the packets: the sender slows down for it", 100.0 * again / all),
          .fix = "look at the path's losses and queues",
          .evidence = {
              {"retransmits", again}, {"segments", all}, {"congestion_window", sent->after().congestion_window}}};
    }};

}  // namespace weir::diagnose
