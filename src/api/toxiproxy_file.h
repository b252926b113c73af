#pragma once

#include <string>

#include "api/api.h"
#include "base/log.h"

namespace weir::api {

// Makes the proxies of toxiproxy's JSON configuration: [{"name","listen","upstream","enabled"}]. Unknown keys
// are named in a warning and passed over. The error is one sentence that names the file.
[[nodiscard]] auto load_toxiproxy_file(const std::string& path, Registry& registry, Log& log) -> Result<void>;

}  // namespace weir::api
