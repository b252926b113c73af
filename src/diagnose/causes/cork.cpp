#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {
namespace {

// How long Linux keeps a corked segment back: its probe timer, 200 ms and the round trip, in ticks of 4 ms (measured:
// 204.9 to 212.9). A sleep of 200 ms is over after 200.1, on a busy machine after 203.9.
constexpr Nanos shortest = std::chrono::microseconds{204'200};
constexpr Nanos longest = std::chrono::milliseconds{220};
constexpr std::uint64_t in_a_row = 5;
// Beyond, what the timer adds to it is too wide to tell anything.
constexpr Nanos most_round_trip = std::chrono::milliseconds{50};

auto is_cork(Nanos length, Nanos round_trip) -> bool {
  return length >= shortest && length <= longest + 3 * round_trip;
}

// As long, give or take what a busy machine adds: to the length, or to the moment from which it is counted.
auto may_be_cork(Nanos length, Nanos round_trip) -> bool {
  constexpr Nanos late = std::chrono::milliseconds{9};
  constexpr Nanos busy = std::chrono::milliseconds{50};
  return length >= shortest - late && length <= longest + 3 * round_trip + busy;
}

// By the sender's own socket.
auto by_look(const Pause& pause) -> std::optional<Finding> {
  const LegName sender = pause.source_leg();
  const Nanos held = lasted_to_end(pause, sender, is_corked);
  if (held < least_pause || !is_most(held, pause)) return std::nullopt;
  const PeerLook* look = first_look_to_end(pause, sender, is_corked);
  return Finding{
      .side = side_of(sender),
      .certainty = Certainty::proven,
      .text = fmt::format("corks its socket and does not lift the cork: the {} waits in its kernel",
                          sender == LegName::client ? "request" : "response"),
      .fix = "clear TCP_CORK, or leave MSG_MORE out of the last write",
      .evidence = {{"held_ns", held.count()}},
      .proof = fmt::format("{} into it the {}'s own socket held {} bytes back, with none on the way",
                           format_duration(look->time - pause.begin), to_string(sender), look->state.unsent_bytes)};
}

}  // namespace

const CauseInfo cork_cause{
    .name = "cork",
    .doc = "The sender corks what it writes (TCP_CORK, MSG_MORE) and does not uncork it",
    .signals =
        "The sender's own socket, on the same host: bytes are unsent though nothing is unacknowledged and the window "
        "is "
        "open. Elsewhere: from the session's first exchange on, and at least five times, the side sends after 204 to "
        "214 ms: what the "
        "kernel keeps corked bytes for. They come in one segment, or behind full ones",
    .look_alikes =
        "Thinking or a timer of 200 ms: it is over sooner, or its lengths differ more. A delayed ACK of 200 ms "
        "(split_write): behind a piece that is less than a segment. A lost last segment: not each time",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const bool between = pause.segment == Segment::server_answers || pause.segment == Segment::client_waits;
      const bool inside = pause.segment == Segment::server_sends || pause.segment == Segment::client_sends;
      if (!between && !inside) return std::nullopt;
      if (auto seen = by_look(pause)) return seen;
      if (const PeerLook* look = last_look(pause, pause.source_leg()); look != nullptr && !is_corked(look->state)) {
        return std::nullopt;  // its own socket says that it is not
      }
      // A client that asks five times a second does so for reasons of its own, as far as it can be seen from here.
      if (pause.segment == Segment::client_waits) return std::nullopt;
      const Nanos round_trip = pause.source.before ? pause.source.before->least_round_trip : Nanos{};
      if (round_trip > most_round_trip) return std::nullopt;
      if (!may_be_cork(pause.length, round_trip)) return std::nullopt;
      const std::uint32_t mss = pause.source.before ? pause.source.before->receive_mss : 0;
      if (inside && (mss == 0 || pause.piece < mss)) return std::nullopt;
      const Habit& habit = pause.habit;
      if (habit.count + 1 != pause.exchange || pause.exchange < in_a_row) return std::nullopt;
      if (!may_be_cork(habit.first, round_trip)) return std::nullopt;
      Earlier earlier;
      std::size_t alike = 0;
      for (const Nanos each : habit.recent()) {
        if (!may_be_cork(each, round_trip)) return std::nullopt;
        alike += is_cork(each, round_trip) ? 1 : 0;
        (inside ? earlier.sends : earlier.answers) += each;
      }
      if (4 * alike < 3 * habit.recent().size()) return std::nullopt;
      earlier.times = habit.count;
      if (pause.exchange > in_a_row) earlier = {};  // told by then
      const LegName leg = pause.source_leg();
      return Finding{.side = side_of(leg),
                     .certainty = Certainty::likely,
                     .text = "corks what it writes and never uncorks it: the kernel keeps it back for 200 ms",
                     .fix = "clear TCP_CORK, or drop MSG_MORE on the last write",
                     .evidence = {{"gap_ns", pause.length.count()},
                                  {"exchanges", static_cast<std::int64_t>(pause.exchange)},
                                  {"behind", static_cast<std::int64_t>(pause.behind)}},
                     .earlier = earlier};
    }};

}  // namespace weir::diagnose
