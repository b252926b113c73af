// What there is to choose from: faults, settings of a proxy, timeouts.
#include "api/answers.h"
#include "api/native_routes.h"
#include "control/proxy_json.h"
#include "event/timeout_name.h"

namespace weir::api {

auto NativeRoutes::get_catalog(const http::Request&, const Parts&) -> http::Response {
  return api_json(200, {{"faults", control::catalog_json()}, {"messages", control::messages_json()}});
}

auto NativeRoutes::get_settings(const http::Request&, const Parts&) -> http::Response {
  return api_json(200, {{"settings", control::settings_catalog_json()}});
}

auto NativeRoutes::get_timeouts(const http::Request&, const Parts&) -> http::Response {
  const Json defaults = control::timeouts_json({});
  Json all = Json::array();
  for (const auto& info : event::timeout_catalog()) {
    const std::string name(info.text);
    all.push_back(
        {{"name", name}, {"default", defaults[name]}, {"may_be_off", info.may_be_off}, {"meaning", info.meaning}});
  }
  return api_json(200, {{"timeouts", std::move(all)}});
}

}  // namespace weir::api
