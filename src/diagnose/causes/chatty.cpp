#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo chatty_cause{
    .name = "chatty",
    .doc = "The client asks the same kind of question again and again, each for a round trip of its own (N+1)",
    .signals =
        "Twenty exchanges and more, one behind the other, whose requests differ in their literals alone; the client's "
        "time between them is below a round trip, and the round trips are at least half of the time, but for one in "
        "five "
        "that a hiccup made longer",
    .look_alikes =
        "A slow server (think): the round trips are the least of it. A client next to the server: there is no round "
        "trip to save",
    .judge_exchange = [](const ExchangeView& view) -> std::optional<ExchangeClaim> {
      constexpr std::uint64_t least_run = 20;
      if (view.alike < least_run) return std::nullopt;
      const Nanos client = view.exchange.round_trip.at(index(LegName::client));
      const Nanos server = view.exchange.round_trip.at(index(LegName::server));
      ExchangeClaim claim{
          .finding = {.side = Side::client,
                      .certainty = Certainty::likely,
                      .text = fmt::format("asks the same kind of question again and again, a round trip of {} each: "
                                          "in one batch it would be one for all",
                                          format_duration(client + server)),
                      .fix = "ask for all at once: a join, IN (...), a batch, or a pipeline",
                      .evidence = {{"in_a_row", static_cast<std::int64_t>(view.alike)},
                                   {"round_trip_ns", (client + server).count()}},
                      .earlier = view.earlier}};
      claim.of(Segment::server_answers, server).of(Segment::client_waits, client);
      return claim;
    }};

}  // namespace weir::diagnose
