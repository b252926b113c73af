#include <fmt/format.h>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo keepalive_race_cause{
    .name = "keepalive_race",
    .doc = "The server closed an idle connection as the client's next request was on the way: the request is lost",
    .signals =
        "The server had answered before, then ended its stream without being asked; the request came after that and "
        "got no byte of an answer",
    .look_alikes = "A server that crashes over the request: it has not ended its stream before",
    .judge_unanswered = [](const Pause& pause) -> std::optional<Finding> {
      if (pause.segment != Segment::server_answers || !pause.finished_before || pause.exchange < 2) return std::nullopt;
      return Finding{
          .side = Side::server,
          .certainty = Certainty::shown,
          .text = fmt::format("closes connections that are idle for {}; the client's next request was lost",
                              format_duration(pause.finished_idle)),
          .fix = "have the client's pool give up connections sooner than the server, and try again",
          .evidence = {{"idle_ns", pause.finished_idle.count()}, {"late_ns", pause.finished_before->count()}}};
    }};

}  // namespace weir::diagnose
