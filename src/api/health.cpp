// Whether the process is well: its version, its loops, its listeners.
#include "api/answers.h"
#include "api/native_routes.h"
#include "control/registry.h"
#include "engine/lag_report.h"

namespace weir::api {

auto NativeRoutes::get_version(const http::Request&, const Parts&) -> http::Response {
  return api_json(200, {{"version", version_},
                        {"seed", registry_.engine().seed()},
                        {"revision", registry_.revision()},
                        {"last_event", events_.last_id()}});
}

void NativeRoutes::get_health(const http::Request&, const Parts&, http::Responder responder) {
  registry_.engine().loop_lag(asker(), [answer = share(std::move(responder))](Nanos lag) {
    const bool healthy = lag < control::loop_patience;
    answer->answer(api_json(healthy ? 200 : 503,
                            {{"healthy", healthy}, {"loop_lag_seconds", std::chrono::duration<double>(lag).count()}}));
  });
}

auto NativeRoutes::get_ready(const http::Request&, const Parts&) -> http::Response {
  Json down = Json::array();
  for (const auto& [name, entry] : registry_.all()) {
    if (entry.rules.enabled && !entry.listening) down.push_back(name);
  }
  // Told, and no reason to take the proxies out of service: the traffic goes on without the view.
  Json troubled = Json::array();
  for (const auto& output : observer_outputs_ ? observer_outputs_() : std::vector<view::OutputStatus>()) {
    if (output.error != 0) troubled.push_back({{"output", output.name}, {"error", errno_text(output.error)}});
  }
  // Traffic that stands still is served by nobody, whoever's fault it is.
  Json holding = Json::array();
  for (const engine::ObserverHold& hold : registry_.engine().observer_holds()) {
    if (hold.longest < engine::LagReport::least_hold) continue;
    holding.push_back({{"observer", hold.observer},
                       {"reader", hold.reader.empty() ? Json() : Json(hold.reader)},
                       {"sessions", hold.sessions},
                       {"listeners", hold.listeners},
                       {"seconds", std::chrono::duration<double>(hold.longest).count()},
                       {"message", engine::describe(hold)}});
  }
  const bool is_ready = down.empty() && holding.empty();
  return api_json(is_ready ? 200 : 503, {{"ready", is_ready},
                                         {"not_listening", std::move(down)},
                                         {"outputs_not_written", std::move(troubled)},
                                         {"observers_holding_up", std::move(holding)}});
}

}  // namespace weir::api
