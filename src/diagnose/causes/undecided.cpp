#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {
namespace {

// A packet of the server's that is lost is sent again after 200 ms, and after 200, 400 and 800 ms more.
auto is_retransmission(Nanos excess, Nanos round_trip) -> bool {
  using std::chrono::milliseconds;
  for (const int after : {200, 600, 1400}) {
    const Nanos late = excess - milliseconds{after};
    if (late >= milliseconds{-5} && late <= milliseconds{60} + 3 * round_trip) return true;
  }
  return false;
}

}  // namespace

const CauseInfo undecided_cause{
    .name = "undecided",
    .doc = "The server thought, or its answer was lost on the way and sent again: from here nobody can tell",
    .signals =
        "The server answered, on a path with a round trip worth the name, so much later than in the exchanges before "
        "as its kernel waits before it sends a lost packet again; nothing was sent again from here",
    .look_alikes =
        "Thinking (think): what separates them is on the server's side: an answer that is unacknowledged "
        "there, or a capture of packets",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      constexpr std::uint64_t least_habit = 5;
      constexpr Nanos least_path = std::chrono::microseconds{500};  // below, it is this host, which loses nothing
      if (pause.segment != Segment::server_answers || pause.habit.count < least_habit) return std::nullopt;
      const Nanos round_trip = pause.source.before ? pause.source.before->least_round_trip : Nanos{};
      if (round_trip < least_path) return std::nullopt;
      const std::span<const Nanos> recent = pause.habit.recent();
      std::array<Nanos, Habit::kept> sorted{};
      std::ranges::copy(recent, sorted.begin());
      const auto used = std::span(sorted).first(recent.size());
      std::ranges::sort(used);
      const Nanos usual = used[used.size() / 2];
      const Nanos excess = pause.length - usual;
      if (!is_retransmission(excess, round_trip)) return std::nullopt;
      return Finding{.side = Side::server,
                     .certainty = Certainty::likely,
                     .text = fmt::format("answered {} later than usual: it thought, or its answer was lost and sent "
                                         "again; a capture on the server, or ss -ti there, decides",
                                         format_duration(excess)),
                     .fix = "look at the server's own counts of retransmitted segments",
                     .evidence = {{"usual_ns", usual.count()}, {"excess_ns", excess.count()}}};
    }};

}  // namespace weir::diagnose
