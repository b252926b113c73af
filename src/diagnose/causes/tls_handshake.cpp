#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo tls_handshake_cause{
    .name = "tls_handshake",
    .doc = "The TLS handshake took its time, and the session was short",
    .signals =
        "TLS records until the client's first application data; at least a twentieth of the session's time and a "
        "millisecond",
    .look_alikes = "A handshake that is sent in pieces (tls_flight_split): it stalls for a delayed ACK",
    .judge_session = [](const SessionView& view) -> std::optional<SessionClaim> {
      constexpr int least_share = 20;
      const Nanos length = view.free_in(Stretch::tls_handshake);
      if (length < least_pause || least_share * length < view.whole()) return std::nullopt;
      const unsigned trips = view.exchanges_in(Stretch::tls_handshake);
      const Nanos path = std::min(length, trips * view.round_trip.at(index(LegName::server)));
      return SessionClaim{
          .finding = {.side = Side::server,
                      .certainty = Certainty::shown,
                      .text = fmt::format("needs {} for the TLS handshake: {} round trip{}, {} of it "
                                          "on the path",
                                          format_duration(length), trips, trips == 1 ? "" : "s", format_duration(path)),
                      .fix = "keep the connection, resume sessions, use TLS 1.3",
                      .evidence = {{"handshake_ns", length.count()},
                                   {"round_trips", trips},
                                   {"path_ns", path.count()}}},
          .stretch = Stretch::tls_handshake};
    }};

}  // namespace weir::diagnose
