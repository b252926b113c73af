#include "fault/catalog.h"

namespace weir::fault {

const FaultInfo refuse_fault{
    .type = "refuse",
    .doc = "Resets a new connection (RST) as soon as it is accepted",
    .details =
        "The kernel has accepted it before Weir hears of it, so the client's connect succeeds and its first read or "
        "write fails. To have connects refused, disable the proxy.",
    .differs = "",
    .phase = FaultPhase::accept,
    .refuses = true};

}  // namespace weir::fault
