// Our own API under /api/v1: everything that the registry knows, live sessions and events.
#pragma once

#include <string>

#include "control/event_log.h"
#include "control/http.h"
#include "control/leases.h"
#include "control/registry.h"
#include "control/session_rates.h"
#include "syslog/target_log.h"

namespace weir::control {

// The control thread only.
class NativeRoutes {
 public:
  NativeRoutes(Registry& registry, EventLog& events, Leases& leases, const syslog::TargetLog& log, std::string version)
      : registry_(registry), events_(events), leases_(leases), log_(log), version_(std::move(version)) {}
  [[nodiscard]] auto handle(const HttpRequest& request) -> HttpAnswer;

  static constexpr std::size_t most_sessions_listed = 10'000;

 private:
  struct Route;
  [[nodiscard]] static auto routes() -> const std::vector<Route>&;
  using Parts = std::vector<std::string>;  // the parts of the path that a route leaves open

  [[nodiscard]] auto get_version(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_health(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_ready(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_catalog(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_settings(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_timeouts(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_log(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_openapi(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_events(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_sessions(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_proxies(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto post_proxies(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_proxy(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto patch_proxy(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto delete_proxy(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_faults(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto post_faults(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_fault(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto patch_fault(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto delete_fault(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto delete_session(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_holds(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto post_holds(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto delete_hold(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto get_leases(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto post_leases(const HttpRequest& request, const Parts& parts) -> HttpAnswer;
  [[nodiscard]] auto delete_lease(const HttpRequest& request, const Parts& parts) -> HttpAnswer;

  // The id and the lease that a new object is given by Weir-Id and Weir-Lease, or the refusal.
  [[nodiscard]] auto read_mark(const HttpRequest& request) const -> tl::expected<Mark, HttpAnswer>;

  Registry& registry_;
  EventLog& events_;
  Leases& leases_;
  const syslog::TargetLog& log_;
  std::string version_;
  SessionRates rates_;
};

}  // namespace weir::control
