#include "diagnose/by_packets.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"

namespace weir::diagnose {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::uint32_t least_mss = 536;

auto message_of(const Pause& pause) -> std::string_view {
  return pause.direction == Direction::upstream ? "request" : "response";
}

// A sender that waits for an ACK sends with it: measured 17 us to 100 us on the sender's host; and from elsewhere, the
// way there and back passes too.
auto leaves_with_ack(const event::PacketEvidence& packets, LegName sender) -> bool {
  const Nanos way = packets.round_trip.at(index(sender));
  // mutant: any-ack-explains-a-late-piece
  return packets.left_after <= way + way / 2 + microseconds{300};
}

struct Again {
  Direction direction{};
  std::uint32_t segments = 0;
  Nanos after{};  // from the pause's begin
  bool twice = false;
};
// The bytes that the pause waited for - the next ones of its own direction, or the other's that had to come before - if
// they came again, in its second half: what came again soon and was answered late was not why.
auto bytes_again(const Pause& pause) -> std::optional<Again> {
  if (pause.segment == Segment::connecting) return std::nullopt;
  const bool waits_for_other = pause.segment == Segment::server_answers || pause.segment == Segment::client_waits;
  const Direction direction = waits_for_other ? other(pause.direction) : pause.direction;
  const event::PacketEvidence& packets = *pause.packets;
  const Again again{direction, packets.again.at(index(direction)), packets.again_after.at(index(direction)),
                    packets.twice.at(index(direction)) > 0};
  if (again.segments == 0 || 2 * again.after < pause.length) return std::nullopt;
  return again;
}

}  // namespace

auto split_write_by_packets(const Pause& pause) -> std::optional<Finding> {
  if (pause.segment != Segment::client_sends && pause.segment != Segment::server_sends) return std::nullopt;
  const event::PacketEvidence& packets = *pause.packets;
  if (!packets.acknowledged || !packets.ack_took || !leaves_with_ack(packets, pause.source_leg())) return std::nullopt;
  const std::uint32_t mss =
      std::max(least_mss, pause.source.before ? pause.source.before->receive_mss : std::uint32_t{0});
  if (pause.before == 0 || pause.piece == 0 || pause.piece >= mss) return std::nullopt;
  const Nanos way = packets.round_trip.at(index(pause.sink_leg()));
  const bool delayed = is_delayed_ack(*packets.ack_took - way) || is_delayed_ack(*packets.ack_took);
  // A short wait may end with an ACK by chance; without a delay of the ACK it has to be long beside that.
  if (!delayed && (pause.length < milliseconds{5} || 20 * packets.left_after > pause.length)) return std::nullopt;
  const std::string_view message = message_of(pause);
  const std::string took = format_duration(*packets.ack_took);
  return Finding{.side = side_of(pause.source_leg()),
                 .certainty = delayed ? Certainty::proven : Certainty::shown,
                 .text = fmt::format(
                     "writes each {} in two pieces; the second waits (Nagle) for the ACK of the first, which {} {}",
                     message, delayed ? "is delayed by" : "takes", took),
                 .fix = fmt::format("one write per {} (writev), or TCP_NODELAY", message),
                 .evidence = {{"cut", static_cast<std::int64_t>(pause.before)},
                              {"piece", static_cast<std::int64_t>(pause.piece)},
                              {"behind", static_cast<std::int64_t>(pause.behind)},
                              {"ack_ns", packets.ack_took->count()},
                              {"left_after_ack_ns", packets.left_after.count()}}};
}

auto loss_by_packets(const Pause& pause) -> std::optional<Finding> {
  const auto again = bytes_again(pause);
  if (!again || again->twice) return std::nullopt;
  const LegName to = sink_of(again->direction);
  return Finding{.side = path_of(to),
                 .certainty = Certainty::proven,
                 .text = fmt::format("lost a packet to the {} or its ACK; it was sent again after {}", to_string(to),
                                     format_duration(again->after)),
                 .fix = "look at the path's losses",
                 .evidence = {{"retransmits", again->segments}, {"again_after_ns", again->after.count()}}};
}

auto reply_lost_by_packets(const Pause& pause) -> std::optional<Finding> {
  const auto again = bytes_again(pause);
  if (!again || !again->twice) return std::nullopt;
  const LegName to = sink_of(again->direction);
  return Finding{.side = path_of(to),
                 .certainty = Certainty::proven,
                 .text = fmt::format("lost what the {} answered; it had the bytes, which were sent again after {}",
                                     to_string(to), format_duration(again->after)),
                 .fix = "look at the path's losses",
                 .evidence = {{"retransmits", again->segments}, {"again_after_ns", again->after.count()}}};
}

auto peer_loss_by_packets(const Pause& pause) -> std::optional<Finding> {
  if (pause.packets->waited_behind_hole == 0) return std::nullopt;
  return Finding{.side = path_of(pause.source_leg()),
                 .certainty = Certainty::proven,
                 .text = fmt::format("lost a packet of the {}'s; {} that came behind it waited",
                                     to_string(pause.source_leg()), format_size(pause.packets->waited_behind_hole)),
                 .fix = "look at the path's losses",
                 .evidence = {{"waited", static_cast<std::int64_t>(pause.packets->waited_behind_hole)}}};
}

auto not_reading_by_packets(const Pause& pause) -> std::optional<Finding> {
  if (pause.segment == Segment::connecting || pause.segment == Segment::client_waits) return std::nullopt;
  const Nanos closed = pause.packets->window_closed.at(index(pause.sink_leg()));
  if (closed <= Nanos{} || 2 * closed < pause.length) return std::nullopt;
  return Finding{
      .side = side_of(pause.sink_leg()),
      .certainty = Certainty::proven,
      .text = fmt::format("does not read what it is sent: its receive window was 0 for {}", format_duration(closed)),
      .fix = "read on: the application is busy or blocked",
      .evidence = {{"window_full_ns", closed.count()}}};
}

auto syn_lost_by_packets(const Pause& pause) -> std::optional<Finding> {
  const event::PacketEvidence& packets = *pause.packets;
  if (packets.connects <= 1 && packets.accepts <= 1) return std::nullopt;
  const bool answer = packets.accepts > 1;  // it had come as far as the capture point
  return Finding{
      .side = answer ? Side::client_path : Side::server_path,
      .certainty = Certainty::proven,
      .text = answer ? fmt::format("lost the answer to the connection request; it was sent {} times", packets.accepts)
                     : fmt::format("dropped the connection request, which was sent {} times: its accept "
                                   "queue is full, or a filter is in the way",
                                   packets.connects),
      .fix = answer ? "look at the path's losses"
                    : "accept faster, raise the backlog and net.core.somaxconn, or look for a firewall",
      .evidence = {{"connects", packets.connects}, {"accepts", packets.accepts}}};
}

}  // namespace weir::diagnose
