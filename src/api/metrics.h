#pragma once

#include "api/api.h"
#include "api/shared_answers.h"
#include "control/serve.h"
#include "http/handler.h"

namespace weir::api {

// Answers with Prometheus text (exposition format 0.0.4): toxiproxy's two counters, live, and our own. Asks every loop
// once for all who ask at the same time, and writes in as many turns as it takes. The control thread only; what `parts`
// names, and `parts`, outlive the engine's run.
class MetricsRoute {
 public:
  explicit MetricsRoute(const control::ApiParts& parts) : parts_(parts), scrapes_(parts.loop) {}
  void handle(http::Responder responder);

 private:
  const control::ApiParts& parts_;
  SharedAnswers scrapes_;
};

}  // namespace weir::api
