// Whether the process is well: its version, its loops, its listeners.
#include "api/answers.h"
#include "api/native_routes.h"
#include "control/registry.h"

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
  const bool is_ready = down.empty();
  return api_json(is_ready ? 200 : 503, {{"ready", is_ready}, {"not_listening", std::move(down)}});
}

}  // namespace weir::api
