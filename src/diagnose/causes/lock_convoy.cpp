#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo lock_convoy_cause{
    .name = "lock_convoy",
    .doc =
        "The server serves one request at a time, of all sessions: the others wait for a lock, or for its one thread",
    .signals =
        "The answers of all sessions of an upstream: each comes so long after the one before, always the same time, "
        "though "
        "it was asked before that",
    .look_alikes =
        "Sessions that are slow each for itself (think): the times between their answers differ. Several workers "
        "(pool_exhausted): so many answers come at once. A tick (polling): no request waits longer than it",
    .judge = [](const Pause& /*pause*/) -> std::optional<Finding> { return std::nullopt; }};  // answer_patterns.h

}  // namespace weir::diagnose
