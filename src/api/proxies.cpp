// Proxies.
#include "api/answers.h"
#include "api/native_routes.h"
#include "api/requests.h"
#include "control/proxy_json.h"
#include "control/proxy_walk.h"
#include "control/registry.h"

namespace weir::api {
namespace {

auto proxy_answer(int status, const ProxyEntry& entry, const engine::Engine& engine) -> http::Response {
  auto answer = api_json(status, proxy_json(entry, engine));
  answer.set("ETag", fmt::format("\"{}\"", entry.revision));
  return answer;
}

}  // namespace

void NativeRoutes::get_proxies(const http::Request&, const Parts&, http::Responder responder) {
  proxy_lists_.ask("", std::move(responder), [this](const std::shared_ptr<SharedAnswers::Batch>& batch) {
    lists_.add("GET /proxies",
               [this, batch, walk = control::ProxyWalk(registry_), text = ListText("proxies")]() mutable {
                 if (!batch->is_awaited()) return false;
                 if (const ProxyEntry* entry = walk.next()) {
                   text.add(proxy_json(*entry, registry_.engine()));
                   return true;
                 }
                 when_settled_.answer(batch, api_text(200, text.finish()));
                 return false;
               });
  });
}

auto NativeRoutes::post_proxies(const http::Request& request, const Parts&) -> http::Response {
  const auto body = read_body(request);
  if (!body) return api_refusal(body.error());
  auto definition = control::read_definition(*body, "", {});
  if (!definition) return api_refusal(definition.error());
  auto mark = read_mark(request);
  if (!mark) return std::move(mark.error());
  const auto made =
      registry_.create(std::move(definition->name), std::move(definition->rules),
                       std::make_shared<fault::FaultList>(std::move(definition->faults)), *std::move(mark));
  return made ? proxy_answer(201, **made, registry_.engine()) : api_refusal(made.error());
}

auto NativeRoutes::get_proxy(const http::Request&, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  return entry == nullptr ? no_proxy(parts[0]) : proxy_answer(200, *entry, registry_.engine());
}

auto NativeRoutes::patch_proxy(const http::Request& request, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr || is_another(request, entry->mark)) return no_proxy(parts[0]);
  if (auto answer = stale(request, *entry)) return *std::move(answer);
  const auto body = read_body(request);
  if (!body) return api_refusal(body.error());
  auto rules = control::read_changes(*body, *entry);
  if (!rules) return api_refusal(rules.error());
  const auto changed = registry_.change(parts[0], *std::move(rules));
  return changed ? proxy_answer(200, **changed, registry_.engine()) : api_refusal(changed.error());
}

auto NativeRoutes::delete_proxy(const http::Request& request, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr || is_another(request, entry->mark)) return no_proxy(parts[0]);
  if (auto answer = stale(request, *entry)) return *std::move(answer);
  registry_.remove(parts[0]);
  return no_content();
}

}  // namespace weir::api
