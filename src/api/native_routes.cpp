#include "api/native_routes.h"

#include <algorithm>

#include "api/answers.h"
#include "control/registry.h"
#include "http/percent.h"

namespace weir::api {

auto NativeRoutes::routes() -> const std::vector<Route>& {
  static const std::vector<Route> all{
      {"GET", "/version", "The version and the seed of this run", 200, &NativeRoutes::get_version, "Version"},
      {"GET", "/health", "Is every worker's loop turning?", 200, &NativeRoutes::get_health, "Health"},
      {"GET", "/ready", "Do all enabled proxies listen, and does no observer hold traffic up?", 200,
       &NativeRoutes::get_ready, "Ready"},
      {"GET", "/catalog", "Every fault with its attributes", 200, &NativeRoutes::get_catalog, "Catalog"},
      {"GET", "/settings", "Every setting of a proxy with its default and meaning", 200, &NativeRoutes::get_settings,
       "SettingCatalog"},
      {"GET", "/timeouts", "Every timeout with its default and meaning", 200, &NativeRoutes::get_timeouts,
       "TimeoutCatalog"},
      {"GET", "/log", "Where the log goes, and how each target fares", 200, &NativeRoutes::get_log, "Log"},
      {"GET", "/openapi.json", "This document", 200, &NativeRoutes::get_openapi, ""},
      {"GET", "/events", "Server-sent events; Last-Event-ID resumes", 200, &NativeRoutes::get_events, ""},
      {"GET", "/watch", "What passes through all proxies, as weir tap prints it; the choices are those of one proxy",
       200, &NativeRoutes::get_watch, ""},
      {"GET", "/sessions", "Live sessions; ?proxy= and ?limit= narrow it", 200, &NativeRoutes::get_sessions,
       "Sessions"},
      {"GET", "/exchanges", "The exchanges that are open now, the oldest first, and who holds them; ?proxy=, ?limit=",
       200, &NativeRoutes::get_exchanges, "Exchanges"},
      {"GET", "/verdicts", "The last verdicts; ?proxy=, ?after= the id of one, ?limit=", 200,
       &NativeRoutes::get_verdicts, "Verdicts"},
      {"GET", "/proxies", "All proxies", 200, &NativeRoutes::get_proxies, "Proxies"},
      {"POST", "/proxies", "Add a proxy, with its faults", 201, &NativeRoutes::post_proxies, "Proxy", "NewProxy"},
      {"GET", "/proxies/*", "One proxy", 200, &NativeRoutes::get_proxy, "Proxy"},
      {"PATCH", "/proxies/*", "Change what is given; If-Match makes it conditional", 200, &NativeRoutes::patch_proxy,
       "Proxy", "ProxyChanges"},
      {"DELETE", "/proxies/*", "Remove it; its sessions are closed before the answer", 204, &NativeRoutes::delete_proxy,
       ""},
      {"GET", "/proxies/*/watch",
       "What passes through one proxy; ?show=, only=, limit=, filter_client=, session=, grep=, when_slow=; it ends "
       "after "
       "count= chunks or the time for=, with its closing line in the trailer Weir-Summary",
       200, &NativeRoutes::get_watch, ""},
      {"GET", "/proxies/*/report",
       "Who lost the time of its exchanges, and why, since diagnose was switched on; ?columns= adds it "
       "as lines of text",
       200, &NativeRoutes::get_report, "Report"},
      {"GET", "/proxies/*/faults", "The faults in the order of the chain", 200, &NativeRoutes::get_faults, "Faults"},
      {"POST", "/proxies/*/faults", "Add a fault, at the end of the chain unless position or before says where", 201,
       &NativeRoutes::post_faults, "Fault", "NewFault"},
      {"GET", "/proxies/*/faults/*", "One fault", 200, &NativeRoutes::get_fault, "Fault"},
      {"PATCH", "/proxies/*/faults/*", "Change what is given, position or before too", 200, &NativeRoutes::patch_fault,
       "Fault", "FaultChanges"},
      {"DELETE", "/proxies/*/faults/*", "Remove it", 204, &NativeRoutes::delete_fault, ""},
      {"DELETE", "/proxies/*/sessions/*", "Close one session", 204, &NativeRoutes::delete_session, ""},
      {"GET", "/proxies/*/holds", "Who holds it down", 200, &NativeRoutes::get_holds, "Holds"},
      {"POST", "/proxies/*/holds", "Hold it down; takes no body, wants Weir-Lease", 201, &NativeRoutes::post_holds,
       "Hold"},
      {"DELETE", "/proxies/*/holds/*", "Release a hold; with the last one it listens again", 204,
       &NativeRoutes::delete_hold, ""},
      {"GET", "/leases", "All leases, with what carries them", 200, &NativeRoutes::get_leases, "Leases"},
      {"POST", "/leases", "A lease, held by the connection of this answer, which has no end", 201,
       &NativeRoutes::post_leases, ""},
      {"DELETE", "/leases/*", "End it; what carries it is gone before the answer", 204, &NativeRoutes::delete_lease,
       ""},
  };
  return all;
}

auto NativeRoutes::split(std::string_view path) -> std::vector<std::string_view> {
  std::vector<std::string_view> parts;
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return parts;
}

namespace {

// Does the path have the pattern's form? Fills what stands for each "*".
auto matches(std::string_view pattern, std::string_view path, std::vector<std::string>& open) -> bool {
  const auto wanted = NativeRoutes::split(pattern);
  const auto given = NativeRoutes::split(path);
  if (wanted.size() != given.size()) return false;
  open.clear();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "*") {
      open.push_back(http::percent_decode(given[i]));
    } else if (wanted[i] != given[i]) {
      return false;
    }
  }
  return true;
}

// Is what it says, or shows from then on, to be true for the next byte through a proxy?
auto tells_of_proxies(std::string_view path) -> bool {
  return path.starts_with("/proxies") || path.starts_with("/leases") || path == "/watch" || path == "/ready";
}

}  // namespace

void NativeRoutes::handle(const http::Request& request, http::Responder responder) {
  if (!request.path.starts_with(prefix)) {
    return responder.answer(api_refusal(404, "there is nothing here; the API stands under /api/v1"));
  }
  const auto path = std::string_view(request.path).substr(prefix.size());
  bool path_known = false;
  Parts parts;
  for (const Route& route : routes()) {
    if (!matches(route.path, path, parts)) continue;
    path_known = true;
    if (route.method != request.method) continue;
    if (const auto* later = std::get_if<Later>(&route.handler)) {
      return (this->**later)(request, parts, std::move(responder));
    }
    const auto before = when_settled_.changes();
    auto response = (this->*std::get<AtOnce>(route.handler))(request, parts);
    if (!tells_of_proxies(route.path)) return responder.answer(std::move(response));
    return when_settled_.answer(share(std::move(responder)), std::move(response), before);
  }
  if (path_known) return responder.answer(api_refusal(405, "this path does not take " + request.method.substr(0, 32)));
  responder.answer(api_refusal(404, "there is nothing here; GET /api/v1/openapi.json lists what there is"));
}

}  // namespace weir::api
