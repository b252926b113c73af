#pragma once

#include "api/api.h"
#include "control/event_log.h"
#include "http/message.h"
#include "syslog/target_log.h"

namespace weir::engine {
class Engine;
}  // namespace weir::engine

namespace weir::api {

// Prometheus text: toxiproxy's two counters, live, and our own. Asks every loop once. Control thread.
[[nodiscard]] auto metrics_answer(Registry& registry, engine::Engine& engine, const control::EventLog& events,
                                  const syslog::TargetLog& log, std::size_t http_connections) -> http::Response;

}  // namespace weir::api
