// toxiproxy's HTTP contract (server 2.12) over our registry, so that its clients work unchanged.
#pragma once

#include <optional>
#include <string>

#include "api/api.h"
#include "api/later.h"
#include "api/toxiproxy_json.h"
#include "control/serve.h"
#include "fault/spec.h"
#include "http/message.h"
#include "proxy/rules.h"

namespace weir::api {

// The root of the API: /proxies, /populate, /reset, /version. Strict clients must survive what toxiproxy
// never had: these routes show its eight faults only, with its integer attributes; other faults are counted
// in X-Weir-Hidden-Faults and live under /api/v1. The control thread only.
class ToxiproxyRoutes {
 public:
  ToxiproxyRoutes(const control::ApiParts& parts, std::string weir_version);

  // For what a browser sends, before its body is read: the refusal.
  [[nodiscard]] auto refuse_browser(const http::Request& head) -> std::optional<http::Response>;
  // Every path is answered: an unknown one with 404, as toxiproxy does.
  void handle(const http::Request& request, http::Responder responder);

  // A 2.x of at least 2.6: the Ruby client uses PATCH from 2.6 on, the Elixir client insists on 2.
  static constexpr std::string_view version = "2.12.0";

 private:
  [[nodiscard]] auto route(const http::Request& request) -> std::optional<http::Response>;
  // Of all proxies, in as many turns as it takes.
  [[nodiscard]] auto takes_turns(const http::Request& request) const -> bool;
  void list(http::Responder responder);
  void show_proxy(const ProxyEntry& entry, const SharedResponder& responder);
  void show_toxics(const ProxyEntry& entry, const SharedResponder& responder);
  // The proxy that is asked for with all of its toxics; null: something else is asked for, or there is none.
  [[nodiscard]] auto shown_proxy(const http::Request& request) const -> const ProxyEntry*;
  void reset(const SharedResponder& responder);
  void populate(const http::Request& request, const SharedResponder& responder);
  class Population;
  [[nodiscard]] auto create(const http::Request& request) -> http::Response;
  [[nodiscard]] auto one_proxy(const http::Request& request, const ProxyEntry& entry) -> http::Response;
  [[nodiscard]] auto change(const http::Request& request, const ProxyEntry& entry) -> http::Response;
  [[nodiscard]] auto add_toxic(const http::Request& request, const ProxyEntry& entry) -> http::Response;
  [[nodiscard]] auto one_toxic(const http::Request& request, const ProxyEntry& entry, const std::string& name)
      -> http::Response;
  [[nodiscard]] auto change_toxic(const http::Request& request, const ProxyEntry& entry, const fault::FaultSpec& now)
      -> http::Response;
  [[nodiscard]] auto request_id() -> std::string;
  // Answers with what toxiproxy gives each answer, when it is true for the next byte.
  void answer(const SharedResponder& responder, http::Response response);
  void answer(const SharedResponder& responder, http::Response response, std::uint64_t before);

  Registry& registry_;
  control::Turns& changes_;
  control::Turns& lists_;
  SharedAnswers shared_lists_;
  std::string weir_version_;
  WhenSettled when_settled_;
  std::uint32_t counter_ = 0;
};

// A page may not drive us. A browser names itself, or says where a request comes from (Fetch, 3.1; Fetch Metadata), as
// no client library does; Host and Origin prove nothing, as a page may have its own name point here (DNS rebinding).
// True: answer 403.
[[nodiscard]] auto comes_from_a_browser(const http::Request& request) -> bool;

}  // namespace weir::api
