#include "fault/catalog.h"

namespace weir::fault {

const FaultInfo accept_delay_fault{
    .type = "accept_delay",
    .doc = "Does nothing with a new connection for so long",
    .details =
        "The kernel has accepted the connection already, so the client's connect succeeds at once; what it sends then "
        "is neither read nor passed on, and the upstream hears nothing. No clock of Weir's runs meanwhile but "
        "`max_duration`.",
    .differs = "",
    .attributes =
        {{.name = "delay", .kind = AttributeKind::duration, .default_value = std::int64_t{0}, .doc = "How long"}},
    .phase = FaultPhase::accept};

}  // namespace weir::fault
