#pragma once

#include "api/api.h"
#include "control/serve.h"
#include "http/handler.h"

namespace weir::api {

// Answers with Prometheus text (exposition format 0.0.4): toxiproxy's two counters, live, and our own. Asks every loop
// once, and writes in as many turns as it takes. Control thread; what `parts` names outlives the engine's run.
void answer_metrics(const control::ApiParts& parts, http::Responder responder);

}  // namespace weir::api
