#pragma once

#include "demo/demo.h"

namespace weir::demo {

// Weir itself as the demonstration's subject: one worker, listening on 127.0.0.1, started through
// engine/ as `weir tap` starts it.
[[nodiscard]] auto start_embedded_weir(std::uint16_t upstream_port, WeirView view)
    -> Result<std::unique_ptr<WeirUnderTest>>;

}  // namespace weir::demo
