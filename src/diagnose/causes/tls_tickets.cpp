#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

const CauseInfo tls_tickets_cause{
    .name = "tls_tickets",
    .doc = "A TLS 1.3 server's first answer waits (Nagle) for the ACK of its session tickets, which is delayed",
    .signals =
        "In the answer to a TLS 1.3 client's first request a pause of a delayed ACK's length, behind one to four "
        "records that together are less than a segment",
    .look_alikes =
        "A split write (split_write): in later exchanges as well. A server that thinks as long over its first answer: "
        "only its own socket tells",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      constexpr std::uint32_t most_tickets = 4;  // OpenSSL sends two, rustls four
      constexpr std::uint64_t usual_mss = 1448;  // the kernel's estimate is lower where segments were small
      if (pause.segment != Segment::server_sends || !pause.tls.is_13 || !pause.tls.first_answer) return std::nullopt;
      if (pause.tls.data_before == 0 || pause.tls.data_before > most_tickets) return std::nullopt;
      if (!pause.tls.equal_lengths || pause.before != pause.piece) return std::nullopt;
      if (const PeerLook* look = last_look(pause, LegName::server); look != nullptr && !is_held_by_nagle(look->state)) {
        return std::nullopt;  // its own socket holds nothing back
      }
      const Nanos round_trip = pause.source.before ? pause.source.before->least_round_trip : Nanos{};
      if (!is_delayed_ack(pause.length, round_trip)) return std::nullopt;
      const std::uint64_t mss = pause.source.before ? pause.source.before->receive_mss : 0;
      if (pause.before >= std::max(mss, usual_mss)) return std::nullopt;
      return Finding{
          .side = Side::server,
          .certainty = Certainty::likely,
          .text =
              "sends its first TLS answer only when its session tickets are acknowledged (Nagle), which "
              "is delayed by 40 ms",
          .fix = "TCP_NODELAY on the server, before the handshake (or no session tickets)",
          .evidence = {{"tickets", pause.tls.data_before}, {"ticket_bytes", static_cast<std::int64_t>(pause.before)}}};
    }};

}  // namespace weir::diagnose
