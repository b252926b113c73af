// Our own API under /api/v1: everything that the registry knows, live sessions and events.
#pragma once

#include <string>

#include "api/api.h"
#include "api/session_rates.h"
#include "control/event_log.h"
#include "control/leases.h"
#include "control/serve.h"
#include "http/message.h"
#include "syslog/target_log.h"

namespace weir::api {

// The table of routes is in native_routes.cpp; each noun's members are in a file of its own. The control thread only.
class NativeRoutes {
 public:
  NativeRoutes(const control::ApiParts& parts, std::string version)
      : loop_(parts.loop),
        registry_(parts.registry),
        events_(parts.events),
        leases_(parts.leases),
        log_(parts.log),
        version_(std::move(version)) {}
  [[nodiscard]] auto handle(const http::Request& request) -> http::Response;

  static constexpr std::string_view prefix = "/api/v1";
  // "/a/b" as {"a", "b"}.
  [[nodiscard]] static auto split(std::string_view path) -> std::vector<std::string_view>;
  static constexpr std::size_t most_sessions_listed = 10'000;

 private:
  using Parts = std::vector<std::string>;  // the parts of the path that a route leaves open
  // A path under /api/v1, "*" standing for one part that is handed to the handler.
  struct Route {
    std::string_view method;
    std::string_view path;
    std::string_view summary;
    int success;
    http::Response (NativeRoutes::*handler)(const http::Request&, const Parts&);
    std::string_view answer;  // its schema; empty: nothing, or no JSON
    std::string_view body{};  // its schema; empty: none is read
  };
  [[nodiscard]] static auto routes() -> const std::vector<Route>&;

  [[nodiscard]] auto get_version(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_health(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_ready(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_catalog(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_settings(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_timeouts(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_log(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_openapi(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_events(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_watch(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_sessions(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_proxies(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto post_proxies(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_proxy(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto patch_proxy(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto delete_proxy(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_faults(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto post_faults(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_fault(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto patch_fault(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto delete_fault(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto delete_session(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_holds(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto post_holds(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto delete_hold(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_leases(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto post_leases(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto delete_lease(const http::Request& request, const Parts& parts) -> http::Response;

  // The id and the lease that a new object is given by Weir-Id and Weir-Lease, or the refusal.
  [[nodiscard]] auto read_mark(const http::Request& request) const -> tl::expected<control::Mark, http::Response>;

  net::EventLoop& loop_;
  Registry& registry_;
  control::EventLog& events_;
  control::Leases& leases_;
  const syslog::TargetLog& log_;
  std::string version_;
  SessionRates rates_;
};

}  // namespace weir::api
