#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo setup_round_trips_cause{
    .name = "setup_round_trips",
    .doc = "The protocol's greeting and authentication took their time, and the session was short",
    .signals =
        "PostgreSQL's or MySQL's messages before the first query, by their first bytes; at least a twentieth of the "
        "session's time and a millisecond",
    .look_alikes = "A connection per exchange (connection_per_exchange): the time until the connection is made",
    .judge_session = [](const SessionView& view) -> std::optional<SessionClaim> {
      constexpr int least_share = 20;
      const Nanos length = view.free_in(Stretch::setup);
      if (length < least_pause || least_share * length < view.whole()) return std::nullopt;
      const unsigned trips = view.exchanges_in(Stretch::setup);
      const Nanos path = std::min(length, trips * view.round_trip.at(index(LegName::server)));
      return SessionClaim{
          .finding = {.side = Side::server,
                      .certainty = Certainty::shown,
                      .text = fmt::format("needs {} for {}'s greeting: {} round trip{} before the first query",
                                          format_duration(length), view.protocol, trips, trips == 1 ? "" : "s"),
                      .fix = "keep the connection: a pool",
                      .evidence = {{"setup_ns", length.count()}, {"round_trips", trips}, {"path_ns", path.count()}}},
          .stretch = Stretch::setup};
    }};

}  // namespace weir::diagnose
