#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/by_packets.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

namespace {

constexpr std::uint32_t least_mss = 536;  // what a kernel assumes of a peer that has sent only small segments

// In how many segments came what ended the pause; none where the counters are too old to tell.
auto segments_behind(const Pause& pause) -> std::optional<std::uint32_t> {
  constexpr std::uint32_t few_reads = 2;
  if (pause.source.reads == 0 || pause.source.reads > few_reads) return std::nullopt;
  const auto segments = pause.source.grown(&event::LegCounters::data_segments_in);
  const std::uint32_t before = pause.source.reads - 1;  // a read has a segment at least
  if (!segments || *segments <= before) return std::nullopt;
  return *segments - before;
}

auto text_of(Segment segment) -> std::string {
  switch (segment) {
    case Segment::client_sends:
    case Segment::server_sends:
      return fmt::format(
          "writes each {} in two pieces; the second waits (Nagle) for the ACK of the first, which is delayed by 40 ms",
          segment == Segment::client_sends ? "request" : "response");
    default: break;
  }
  return fmt::format(
      "writes its {} while what it sent before is not acknowledged; it waits (Nagle) for that ACK, which "
      "is delayed by 40 ms",
      segment == Segment::client_waits ? "request" : "response");
}

// The sender's own socket showed it: it held bytes back that the window would have let go, while others were not
// acknowledged. That ends with their ACK alone.
auto held_by_nagle(const Pause& pause) -> const PeerLook* {
  const bool is_sending = pause.segment == Segment::client_sends || pause.segment == Segment::server_sends ||
                          pause.segment == Segment::server_answers || pause.segment == Segment::client_waits;
  const Nanos held = lasted_to_end(pause, pause.source_leg(), is_held_by_nagle);
  if (!is_sending || held < least_pause || !is_most(held, pause)) return nullptr;
  return first_look_to_end(pause, pause.source_leg(), is_held_by_nagle);
}

}  // namespace

const CauseInfo split_write_cause{
    .name = "split_write",
    .doc =
        "The sender writes a message in pieces; Nagle holds the second until the first is acknowledged, and that is "
        "delayed",
    .signals =
        "A pause of a delayed ACK's length inside a message, behind a piece that is smaller than a segment, with "
        "nothing sent to the peer meanwhile, and one segment on each side of it. On the same host the sender's "
        "own socket shows it whatever the length: unsent bytes and unacknowledged ones, with the window open",
    .look_alikes =
        "A sender that drips: its pauses are of any length. TCP_CORK: one segment, 200 ms, from the first "
        "message on",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.packets && pause.packets->answers) return split_write_by_packets(pause);
      const bool is_request = pause.source_leg() == LegName::client;
      const std::string fix =
          fmt::format("one write per {} (writev), or TCP_NODELAY", is_request ? "request" : "response");
      if (const PeerLook* look = held_by_nagle(pause)) {
        Finding finding{.side = side_of(pause.source_leg()),
                        .certainty = Certainty::proven,
                        .text = text_of(pause.segment),
                        .fix = fix,
                        .evidence = {{"piece", static_cast<std::int64_t>(pause.piece)},
                                     {"behind", static_cast<std::int64_t>(pause.behind)}},
                        .proof = fmt::format("{} into it the {}'s own socket held {} bytes back until an ACK came",
                                             format_duration(look->time - pause.begin), to_string(pause.source_leg()),
                                             look->state.unsent_bytes)};
        if (pause.before > 0) finding.evidence.push_back({"cut", static_cast<std::int64_t>(pause.before)});
        return finding;
      }
      if (pause.segment != Segment::client_sends && pause.segment != Segment::server_sends) return std::nullopt;
      if (const PeerLook* look = last_look(pause, pause.source_leg()); look != nullptr && has_sent_all(look->state)) {
        return std::nullopt;  // its own socket holds nothing back, whether or not the ACK of what left is delayed
      }
      const Nanos round_trip = pause.source.before ? pause.source.before->least_round_trip : Nanos{};
      if (!is_delayed_ack(pause.length, round_trip) || pause.before == 0) return std::nullopt;
      const std::uint32_t mss =
          std::max(least_mss, pause.source.before ? pause.source.before->receive_mss : std::uint32_t{0});
      if (pause.piece == 0 || pause.piece >= mss) return std::nullopt;
      const auto segments = segments_behind(pause);
      if (segments && *segments > (pause.behind + mss - 1) / mss) return std::nullopt;
      return Finding{.side = side_of(pause.source_leg()),
                     .certainty = Certainty::likely,
                     .text = text_of(pause.segment),
                     .fix = fix,
                     .evidence = {{"cut", static_cast<std::int64_t>(pause.before)},
                                  {"piece", static_cast<std::int64_t>(pause.piece)},
                                  {"behind", static_cast<std::int64_t>(pause.behind)},
                                  {"segments", segments ? static_cast<std::int64_t>(*segments) : -1}}};
    }};

}  // namespace weir::diagnose
