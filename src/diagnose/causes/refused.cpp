#include <cerrno>

#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo refused_cause{.name = "refused",
                              .doc = "The upstream refused the connection",
                              .signals = "The error of connect(2)",
                              .look_alikes = "",
                              .judge = [](const Pause& pause) -> std::optional<Finding> {
                                if (!pause.connect || pause.connect->error != ECONNREFUSED) return std::nullopt;
                                return Finding{.side = Side::server,
                                               .certainty = Certainty::proven,
                                               .text = "refused the connection: nothing listens there",
                                               .fix = "start the service, or mend its address",
                                               .evidence = {{"attempts", pause.connect->attempts}}};
                              }};

}  // namespace weir::diagnose
