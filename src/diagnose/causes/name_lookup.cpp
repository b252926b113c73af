#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo name_lookup_cause{
    .name = "name_lookup",
    .doc = "The upstream's name was looked up, and that took the time",
    .signals = "How long the resolver took",
    .look_alikes = "A slow connect: it is timed apart",
    .judge = [](const Pause& pause) -> std::optional<Finding> {
      if (!pause.connect) return std::nullopt;
      const ConnectEvidence& connect = *pause.connect;
      const bool failed = !connect.failure.empty();
      if (!failed && (connect.name.empty() || 2 * connect.resolve < pause.length)) return std::nullopt;
      return Finding{
          .side = Side::server_path,
          .certainty = Certainty::shown,
          .text = fmt::format("the name {} took {} to look up{}", connect.name, format_duration(connect.resolve),
                              failed ? ": " + connect.failure : ""),
          .fix = failed ? "mend the name, or ask why the resolver does not know it"
                        : "look at the resolver (/etc/resolv.conf): a multiple of 5 s is a server that does not answer",
          .evidence = {{"resolve_ns", connect.resolve.count()}}};
    }};

}  // namespace weir::diagnose
