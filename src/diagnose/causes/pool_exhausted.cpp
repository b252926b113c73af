#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo pool_exhausted_cause{
    .name = "pool_exhausted",
    .doc = "All workers of the server, or all connections of its own pool, are taken: requests wait for one",
    .signals =
        "The answers of all sessions of an upstream: each comes a constant time after the one that is as many before "
        "it "
        "as there are workers (2 to 8), though it was asked before that",
    .look_alikes =
        "Sessions that are slow each for itself (think): the times between their answers differ. One worker "
        "(lock_convoy)",
    .judge = [](const Pause& /*pause*/) -> std::optional<Finding> { return std::nullopt; }};  // answer_patterns.h

}  // namespace weir::diagnose
