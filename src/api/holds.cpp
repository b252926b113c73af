// Who holds a proxy down: every hold belongs to a lease.
#include "api/answers.h"
#include "api/native_routes.h"
#include "control/proxy_json.h"
#include "control/registry.h"

namespace weir::api {

auto NativeRoutes::get_holds(const http::Request&, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  Json holds = Json::array();
  for (const control::Hold& hold : entry->holds) holds.push_back(hold_json(hold));
  return api_json(200, {{"holds", std::move(holds)}, {"revision", entry->revision}});
}

// A hold without a lease would be one that nobody takes back; who wants that disables the proxy.
auto NativeRoutes::post_holds(const http::Request& request, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  auto mark = read_mark(request);
  if (!mark) return std::move(mark.error());
  if (mark->lease.empty()) {
    return api_refusal(400, "Weir-Lease: a hold needs a lease; PATCH the proxy's enabled to close it for good",
                       "Weir-Lease");
  }
  const control::Hold hold{std::move(mark->id), std::move(mark->lease)};
  if (const auto held = registry_.hold(parts[0], hold); !held) {
    return api_refusal(held.error());
  }
  return api_json(201, hold_json(hold));
}

auto NativeRoutes::delete_hold(const http::Request&, const Parts& parts) -> http::Response {
  if (registry_.find(parts[0]) == nullptr) return no_proxy(parts[0]);
  if (const auto released = registry_.release(parts[0], parts[1]); !released) {
    return api_refusal(released.error());
  }
  return no_content();
}

}  // namespace weir::api
