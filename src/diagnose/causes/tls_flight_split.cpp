#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo tls_flight_split_cause{
    .name = "tls_flight_split",
    .doc = "One side sends its part of the TLS handshake in pieces; Nagle holds the second until a delayed ACK",
    .signals =
        "A pause of a delayed ACK's length inside one side's handshake records, behind a piece that is less than a "
        "segment",
    .look_alikes = "The handshake's round trips (tls_handshake): the pause is between the sides then",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      constexpr std::uint32_t least_mss = 536;
      const TlsMoment& tls = pause.tls;
      if (!tls.is_tls || tls.client_data) return std::nullopt;
      const bool server = pause.segment == Segment::server_sends && !(tls.is_13 && tls.client_finished);
      const bool client = pause.segment == Segment::client_sends && !tls.client_finished;
      if ((!server && !client) || pause.before == 0) return std::nullopt;
      const Nanos round_trip = pause.source.before ? pause.source.before->least_round_trip : Nanos{};
      if (!is_delayed_ack(pause.length, round_trip)) return std::nullopt;
      const std::uint32_t mss =
          std::max(least_mss, pause.source.before ? pause.source.before->receive_mss : std::uint32_t{0});
      if (pause.piece == 0 || pause.piece >= mss) return std::nullopt;
      return Finding{.side = side_of(pause.source_leg()),
                     .certainty = Certainty::likely,
                     .text =
                         "sends its part of the TLS handshake in pieces; the second waits (Nagle) for the ACK of "
                         "the first, which is delayed by 40 ms",
                     .fix = "TCP_NODELAY before the handshake, or one write for it",
                     .evidence = {{"cut", static_cast<std::int64_t>(pause.before)},
                                  {"piece", static_cast<std::int64_t>(pause.piece)},
                                  {"behind", static_cast<std::int64_t>(pause.behind)}}};
    }};

}  // namespace weir::diagnose
