#include "api/serve.h"

#include "api/access.h"
#include "api/metrics.h"
#include "api/native_routes.h"
#include "api/toxiproxy_file.h"
#include "api/toxiproxy_routes.h"
#include "control/registry.h"

namespace weir::api {
namespace {

// Who may ask, and who answers: by the beginning of the path.
class AllRoutes {
 public:
  AllRoutes(const control::ApiParts& parts, AccessRules rules, const std::string& version)
      : parts_(parts),
        rules_(std::move(rules)),
        metrics_(parts_),
        toxiproxy_(parts, version),
        native_(parts, version) {}
  AllRoutes(const AllRoutes&) = delete;  // what answers later knows where it is
  auto operator=(const AllRoutes&) -> AllRoutes& = delete;

  // Judged by the head alone: who may not ask has no body read.
  [[nodiscard]] auto refusal(const http::Request& head) -> std::optional<http::Response> {
    if (auto refused = why_refused(rules_, head)) return refused;
    return family_of(head.path) == RouteFamily::toxiproxy ? toxiproxy_.refuse_browser(head) : std::nullopt;
  }
  void handle(const http::Request& request, http::Responder responder) {
    if (family_of(request.path) == RouteFamily::toxiproxy) return toxiproxy_.handle(request, std::move(responder));
    if (request.path == "/metrics") return metrics_.handle(std::move(responder));
    native_.handle(request, std::move(responder));
  }

 private:
  control::ApiParts parts_;
  AccessRules rules_;
  MetricsRoute metrics_;
  ToxiproxyRoutes toxiproxy_;
  NativeRoutes native_;
};

auto make_api(const ServeOptions& options, const control::ApiParts& parts) -> Result<control::Api> {
  auto rules = make_rules(parts.listens_on, options.token, options.compat_open || parts.compat_open);
  if (!rules) return tl::make_unexpected(rules.error());
  rules->metrics_open = options.metrics_open;
  control::Api api;
  if (!rules->local && rules->token.empty()) {
    api.warning = "toxiproxy's routes are open to everybody who reaches this address; the rest of the API is closed";
  }
  if (!options.toxiproxy_config.empty()) {
    api.before_listening = [&options, parts] {
      return load_toxiproxy_file(options.toxiproxy_config, parts.registry, parts.log);
    };
  }
  const auto routes = std::make_shared<AllRoutes>(parts, *std::move(rules), options.version);
  api.gate = [routes](const http::Request& head) { return routes->refusal(head); };
  api.handler = [routes](const http::Request& request, http::Responder responder) {
    routes->handle(request, std::move(responder));
  };
  return api;
}

}  // namespace

auto serve(ServeOptions options) -> Result<void> {
  options.make_api = [&options](const control::ApiParts& parts) { return make_api(options, parts); };
  return control::serve(options);
}

}  // namespace weir::api
