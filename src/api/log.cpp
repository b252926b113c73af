// Where the log goes.
#include "api/answers.h"
#include "api/native_routes.h"
#include "control/log_choice.h"

namespace weir::api {

auto NativeRoutes::get_log(const http::Request&, const Parts&) -> http::Response {
  return api_json(200, control::log_status_json(log_));
}

}  // namespace weir::api
