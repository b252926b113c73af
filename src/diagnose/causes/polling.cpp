#include "diagnose/cause.h"

namespace weir::diagnose {

const CauseInfo polling_cause{
    .name = "polling",
    .doc = "The server looks for work on a timer, and answers on its ticks",
    .signals =
        "The answers of all sessions of an upstream come at multiples of one time, of at least 10 ms, and the waits "
        "for "
        "them differ and are no longer than it",
    .look_alikes =
        "A service of constant time (think), asked again at once: its answers come at multiples of a time too, and the "
        "waits are all the same",
    .judge = [](const Pause& /*pause*/) -> std::optional<Finding> { return std::nullopt; }};  // answer_patterns.h

}  // namespace weir::diagnose
