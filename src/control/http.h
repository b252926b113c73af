// The values of HTTP, by the names that this room uses.
#pragma once

#include "http/message.h"
#include "http/percent.h"

namespace weir::control {

using HttpRequest = http::Request;
using HttpAnswer = http::Response;
using http::percent_decode;
using http::percent_encode;

}  // namespace weir::control
