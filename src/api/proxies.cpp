// Proxies.
#include "api/answers.h"
#include "api/native_routes.h"
#include "api/proxy_text.h"
#include "api/requests.h"
#include "control/proxy_json.h"
#include "control/proxy_walk.h"
#include "control/registry.h"

namespace weir::api {
namespace {

void set_revision(http::Response& answer, std::uint64_t revision) {
  answer.set("ETag", fmt::format("\"{}\"", revision));
}

auto proxy_answer(int status, const ProxyEntry& entry, const engine::Engine& engine) -> http::Response {
  auto answer = api_json(status, proxy_json(entry, engine));
  set_revision(answer, entry.revision);
  return answer;
}

}  // namespace

void NativeRoutes::get_proxies(const http::Request&, const Parts&, http::Responder responder) {
  proxy_lists_.ask("", std::move(responder), [this](const std::shared_ptr<SharedAnswers::Batch>& batch) {
    lists_.add("GET /proxies", [this, batch, walk = control::ProxyWalk(registry_), text = ListText("proxies"),
                                proxy = std::optional<ProxyText>()]() mutable {
      if (!batch->is_awaited()) return false;
      if (proxy) {
        if (!proxy->write_some(text.end())) proxy.reset();
        return true;
      }
      if (const ProxyEntry* entry = walk.next()) {
        (void)text.begin_one();
        proxy.emplace(*entry, registry_.engine());
        return true;
      }
      when_settled_.answer(batch, api_pieces(200, text.finish()));
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

void NativeRoutes::get_proxy(const http::Request&, const Parts& parts, http::Responder responder) {
  const SharedResponder answer = share(std::move(responder));
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return when_settled_.answer(answer, no_proxy(parts[0]));
  lists_.add("GET /proxies/NAME", [this, answer, revision = entry->revision, text = http::BodyText(),
                                   proxy = ProxyText(*entry, registry_.engine())]() mutable {
    if (!answer->is_awaited()) return false;
    if (proxy.write_some(text.end())) return true;
    text.end() += '\n';
    auto response = api_pieces(200, text.take());
    set_revision(response, revision);
    when_settled_.answer(answer, std::move(response));
    return false;
  });
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
