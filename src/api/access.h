// Who may ask what over HTTP.
#pragma once

#include <optional>
#include <string>

#include "base/address.h"
#include "http/message.h"

namespace weir::api {

enum class RouteFamily : std::uint8_t {
  toxiproxy,  // the root: clients in containers come with any Host
  native,     // /api/v1, /metrics
};
[[nodiscard]] auto family_of(std::string_view path) -> RouteFamily;

struct AccessRules {
  std::string token;          // empty: none is asked for
  bool compat_open = false;   // bound beyond this machine without a token: toxiproxy's routes alone are open
  bool metrics_open = false;  // GET /metrics needs no token and no Host of this machine, as with toxiproxy's own flags
  bool local = true;          // bound to loopback or a Unix socket
  bool unix_socket = false;
};

// Refuses rules that would open everything to everybody: a bind beyond this machine wants a token, or
// compat_open.
[[nodiscard]] auto make_rules(const std::vector<Address>& bound, std::string token, bool compat_open)
    -> Result<AccessRules>;

// None: the request may be handled. Of the toxiproxy family, browsers are refused by its own routes.
[[nodiscard]] auto why_refused(const AccessRules& rules, const http::Request& request) -> std::optional<http::Response>;

}  // namespace weir::api
