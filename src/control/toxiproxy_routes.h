// toxiproxy's HTTP contract (server 2.12) over our registry, so that its clients work unchanged.
#pragma once

#include <optional>
#include <string>

#include "control/http.h"
#include "control/registry.h"

namespace weir::control {

// The root of the API: /proxies, /populate, /reset, /version. Strict clients must survive what toxiproxy
// never had: these routes show its eight faults only, with its integer attributes; other faults are counted
// in X-Weir-Hidden-Faults and live under /api/v1. The control thread only.
class ToxiproxyRoutes {
 public:
  ToxiproxyRoutes(Registry& registry, std::string weir_version);

  // Every path is answered: an unknown one with 404, as toxiproxy does.
  [[nodiscard]] auto handle(const HttpRequest& request) -> HttpAnswer;

  // A 2.x of at least 2.6: the Ruby client uses PATCH from 2.6 on, the Elixir client insists on 2.
  static constexpr std::string_view version = "2.12.0";

 private:
  [[nodiscard]] auto route(const HttpRequest& request) -> std::optional<HttpAnswer>;
  [[nodiscard]] auto list() const -> HttpAnswer;
  [[nodiscard]] auto create(const HttpRequest& request) -> HttpAnswer;
  [[nodiscard]] auto populate(const HttpRequest& request) -> HttpAnswer;
  [[nodiscard]] auto populate_one(const std::string& name, const proxy::ProxyRules& rules) -> Answer<const ProxyEntry*>;
  [[nodiscard]] auto one_proxy(const HttpRequest& request, const ProxyEntry& entry) -> HttpAnswer;
  [[nodiscard]] auto change(const HttpRequest& request, const ProxyEntry& entry) -> HttpAnswer;
  [[nodiscard]] auto toxics(const HttpRequest& request, const ProxyEntry& entry) -> HttpAnswer;
  [[nodiscard]] auto add_toxic(const HttpRequest& request, const ProxyEntry& entry) -> HttpAnswer;
  [[nodiscard]] auto one_toxic(const HttpRequest& request, const ProxyEntry& entry, const std::string& name)
      -> HttpAnswer;
  [[nodiscard]] auto change_toxic(const HttpRequest& request, const ProxyEntry& entry, const fault::FaultSpec& now)
      -> HttpAnswer;
  [[nodiscard]] auto request_id() -> std::string;

  Registry& registry_;
  std::string weir_version_;
  std::uint32_t counter_ = 0;
};

// A page may not drive us: browsers name themselves, and say where a request comes from.
// True: answer 403.
[[nodiscard]] auto comes_from_a_browser(const HttpRequest& request) -> bool;

}  // namespace weir::control
