// What the native API takes and answers, as schemas of OpenAPI 3.0.
#pragma once

#include "api/api.h"

namespace weir::api {

// "components/schemas": faults are described from the catalog, timeouts from theirs, so that a new one is in the
// document by itself.
[[nodiscard]] auto openapi_schemas() -> Json;
// {"$ref": "#/components/schemas/NAME"}
[[nodiscard]] auto schema_ref(std::string_view name) -> Json;

}  // namespace weir::api
