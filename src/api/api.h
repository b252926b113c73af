// Room api/, floor 10: what a running process says and does over HTTP - toxiproxy's routes at the root, ours under
// /api/v1 with one file per noun, metrics - and the client of it. Includes every room below. Start with native_routes.h
// and serve.h; answers.h has what all of our routes answer.
#pragma once

#include "control/json.h"
#include "control/refusal.h"

namespace weir::control {
struct Mark;
struct ProxyEntry;
class Registry;  // registry.h, for those who ask it
}  // namespace weir::control

namespace weir::api {

// The words of control/ that every route speaks.
using control::Json;
using control::ProxyEntry;
using control::Refusal;
using control::Registry;

}  // namespace weir::api
