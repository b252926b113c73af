// Our own API under /api/v1: everything that the registry knows, live sessions and events.
#pragma once

#include <string>
#include <variant>

#include "api/answers.h"
#include "api/api.h"
#include "api/later.h"
#include "api/session_rates.h"
#include "control/diagnoses.h"
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
        diagnoses_(parts.diagnoses),
        lists_(parts.lists),
        log_(parts.log),
        observer_outputs_(parts.observer_outputs),
        version_(std::move(version)),
        session_lists_(loop_),
        proxy_lists_(loop_),
        when_settled_(loop_, registry_, [](const Refusal& why) { return api_refusal(why); }) {}
  void handle(const http::Request& request, http::Responder responder);

  static constexpr std::string_view prefix = "/api/v1";
  // "/a/b" as {"a", "b"}.
  [[nodiscard]] static auto split(std::string_view path) -> std::vector<std::string_view>;
  static constexpr std::size_t most_sessions_listed = 10'000;
  static constexpr std::size_t most_exchanges_listed = 1000;

 private:
  using Parts = std::vector<std::string>;  // the parts of the path that a route leaves open
  // What is known on the control thread is answered at once, but for what is not settled yet (WhenSettled); what has to
  // be asked of the workers' loops, or takes more than a turn, later.
  using AtOnce = http::Response (NativeRoutes::*)(const http::Request&, const Parts&);
  using Later = void (NativeRoutes::*)(const http::Request&, const Parts&, http::Responder);
  using Handler = std::variant<AtOnce, Later>;
  // A path under /api/v1, "*" standing for one part that is handed to the handler.
  struct Route {
    std::string_view method;
    std::string_view path;
    std::string_view summary;
    int success;
    Handler handler;
    std::string_view answer;  // its schema; empty: nothing, or no JSON
    std::string_view body{};  // its schema; empty: none is read
  };
  [[nodiscard]] static auto routes() -> const std::vector<Route>&;

  [[nodiscard]] auto get_version(const http::Request& request, const Parts& parts) -> http::Response;
  void get_health(const http::Request& request, const Parts& parts, http::Responder responder);
  [[nodiscard]] auto get_ready(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_catalog(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_settings(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_timeouts(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_log(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_openapi(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_events(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_watch(const http::Request& request, const Parts& parts) -> http::Response;
  void get_sessions(const http::Request& request, const Parts& parts, http::Responder responder);
  [[nodiscard]] auto get_report(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_verdicts(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_exchanges(const http::Request& request, const Parts& parts) -> http::Response;
  void get_proxies(const http::Request& request, const Parts& parts, http::Responder responder);
  [[nodiscard]] auto post_proxies(const http::Request& request, const Parts& parts) -> http::Response;
  void get_proxy(const http::Request& request, const Parts& parts, http::Responder responder);
  [[nodiscard]] auto patch_proxy(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto delete_proxy(const http::Request& request, const Parts& parts) -> http::Response;
  void get_faults(const http::Request& request, const Parts& parts, http::Responder responder);
  [[nodiscard]] auto post_faults(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_fault(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto patch_fault(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto delete_fault(const http::Request& request, const Parts& parts) -> http::Response;
  void delete_session(const http::Request& request, const Parts& parts, http::Responder responder);
  [[nodiscard]] auto get_holds(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto post_holds(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto delete_hold(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto get_leases(const http::Request& request, const Parts& parts) -> http::Response;
  [[nodiscard]] auto post_leases(const http::Request& request, const Parts& parts) -> http::Response;
  void delete_lease(const http::Request& request, const Parts& parts, http::Responder responder);

  [[nodiscard]] auto asker() const -> engine::Asker { return {loop_, control::loop_patience}; }
  void write_sessions(engine::SessionList list, const std::shared_ptr<SharedAnswers::Batch>& batch);
  // The id and the lease that a new object is given by Weir-Id and Weir-Lease, or the refusal.
  [[nodiscard]] auto read_mark(const http::Request& request) const -> tl::expected<control::Mark, http::Response>;

  net::EventLoop& loop_;
  Registry& registry_;
  control::EventLog& events_;
  control::Leases& leases_;
  control::Diagnoses& diagnoses_;
  control::Turns& lists_;
  const syslog::TargetLog& log_;
  std::function<std::vector<view::OutputStatus>()> observer_outputs_;
  std::string version_;
  SessionRates rates_;
  SharedAnswers session_lists_;
  SharedAnswers proxy_lists_;
  WhenSettled when_settled_;
};

}  // namespace weir::api
