#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo tls_first_request_cause{
    .name = "tls_first_request",
    .doc = "A TLS 1.3 client's first request waits (Nagle) for the ACK of its handshake's end, which is delayed",
    .signals =
        "A pause of a delayed ACK's length between the end of the client's handshake and its first application data, "
        "with nothing from the server between them",
    .look_alikes =
        "The server's first answer (tls_tickets): on the other side. A client that thinks as long before "
        "its first request: it says so in a trace of its own",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      const TlsMoment& tls = pause.tls;
      if (pause.segment != Segment::client_sends || !tls.is_13 || !tls.client_finished || tls.client_data) {
        return std::nullopt;
      }
      if (!pause.text_behind.starts_with(static_cast<char>(TlsRecords::data))) return std::nullopt;
      const Nanos round_trip = pause.source.before ? pause.source.before->least_round_trip : Nanos{};
      if (!is_delayed_ack(pause.length, round_trip)) return std::nullopt;
      return Finding{.side = Side::client,
                     .certainty = Certainty::likely,
                     .text =
                         "sends its first TLS request only when the end of its handshake is acknowledged (Nagle), "
                         "which is delayed by 40 ms",
                     .fix = "TCP_NODELAY on the client, before the handshake",
                     .evidence = {{"finished_bytes", static_cast<std::int64_t>(pause.before)},
                                  {"behind", static_cast<std::int64_t>(pause.behind)}}};
    }};

}  // namespace weir::diagnose
