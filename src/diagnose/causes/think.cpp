#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/known_constant.h"
#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

const CauseInfo think_cause{
    .name = "think",
    .doc = "The server had the request and took its time to answer",
    .signals =
        "The request was passed on, and no byte of the response came; beyond the leg's least round trip. "
        "On the same host: the server's own socket is empty both ways, and its process does not wait for a CPU",
    .look_alikes =
        "A request that was not accepted or not read (not_accepted, not_read): the server's own socket tells, "
        "on the same host. A reply that was lost",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::server_answers) return std::nullopt;
      const Nanos round_trip = pause.source.after ? pause.source.after->least_round_trip : Nanos{};
      Finding finding{.side = Side::server,
                      .certainty = Certainty::likely,
                      .text = "took its time to answer",
                      .fix = std::string(known_constant_hint(pause)),
                      .evidence = {{"think_ns", std::max(pause.length - round_trip, Nanos{}).count()},
                                   {"round_trip_ns", round_trip.count()}}};
      const Nanos at_work = lasted_to_end(pause, LegName::server, is_at_work);
      const auto starved = waited_for_cpu(pause);
      if (at_work == Nanos{} || !is_most(at_work, pause) || (starved && 4 * *starved > pause.length)) return finding;
      finding.certainty = starved ? Certainty::proven : Certainty::shown;
      finding.evidence.push_back({"at_work_ns", at_work.count()});
      finding.proof = "its own socket was empty both ways: it had read the request, and had not answered";
      return finding;
    }};

}  // namespace weir::diagnose
