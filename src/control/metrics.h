#pragma once

#include "control/event_log.h"
#include "control/http.h"
#include "control/registry.h"
#include "syslog/target_log.h"

namespace weir::control {

// Prometheus text: toxiproxy's two counters, live, and our own. Asks every loop once. Control thread.
[[nodiscard]] auto metrics_answer(Registry& registry, engine::Engine& engine, const EventLog& events,
                                  const syslog::TargetLog& log, std::size_t http_connections) -> HttpAnswer;

}  // namespace weir::control
