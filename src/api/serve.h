// `weir serve` with its API: toxiproxy's routes, ours, and metrics.
#pragma once

#include <string>

#include "control/serve.h"

namespace weir::api {

struct ServeOptions : control::ServeOptions {
  std::string token;             // empty: none
  bool compat_open = false;      // see AccessRules
  bool metrics_open = false;     // see AccessRules
  std::string toxiproxy_config;  // toxiproxy's JSON file, or empty
  std::string version;
};

// As control::serve; make_api is set here.
[[nodiscard]] auto serve(ServeOptions options) -> Result<void>;

}  // namespace weir::api
