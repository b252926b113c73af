#include "fault/catalog.h"

namespace weir::fault {

const FaultInfo connect_delay_fault{
    .type = "connect_delay",
    .doc = "Waits so long before it connects to the upstream",
    .details =
        "It comes after the upstream's name is looked up, and Weir's clock `connect` counts it, as that of a client "
        "which connects by itself would count a slow network.",
    .differs = "",
    .attributes =
        {{.name = "delay", .kind = AttributeKind::duration, .default_value = std::int64_t{0}, .doc = "How long"}},
    .phase = FaultPhase::connect};

}  // namespace weir::fault
