#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

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

}  // namespace

const CauseInfo split_write_cause{
    .name = "split_write",
    .doc =
        "The sender writes a message in pieces; Nagle holds the second until the first is acknowledged, and that is "
        "delayed",
    .signals =
        "A pause of a delayed ACK's length inside a message, behind a piece that is smaller than a segment, with "
        "nothing sent to the peer meanwhile, and one segment on each side of it",
    .look_alikes =
        "A sender that drips: its pauses are of any length. TCP_CORK: one segment, 200 ms, from the first "
        "message on",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::client_sends && pause.segment != Segment::server_sends) return std::nullopt;
      if (!is_delayed_ack(pause.length) || pause.before == 0) return std::nullopt;
      const std::uint32_t mss =
          std::max(least_mss, pause.source.before ? pause.source.before->receive_mss : std::uint32_t{0});
      if (pause.piece == 0 || pause.piece >= mss) return std::nullopt;
      const auto segments = segments_behind(pause);
      if (segments && *segments > (pause.behind + mss - 1) / mss) return std::nullopt;
      const std::string_view message = pause.segment == Segment::client_sends ? "request" : "response";
      return Finding{.side = side_of(pause.source_leg()),
                     .certainty = Certainty::likely,
                     .text = fmt::format("writes each {} in two pieces; the second waits (Nagle) for the ACK of the "
                                         "first, which is delayed by 40 ms",
                                         message),
                     .fix = fmt::format("one write per {} (writev), or TCP_NODELAY", message),
                     .evidence = {{"cut", static_cast<std::int64_t>(pause.before)},
                                  {"piece", static_cast<std::int64_t>(pause.piece)},
                                  {"behind", static_cast<std::int64_t>(pause.behind)},
                                  {"segments", segments ? static_cast<std::int64_t>(*segments) : -1}}};
    }};

}  // namespace weir::diagnose
