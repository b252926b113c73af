// The faults of a proxy, in the order of their chain.
#include "api/answers.h"
#include "api/native_routes.h"
#include "api/proxy_text.h"
#include "api/requests.h"
#include "control/proxy_json.h"
#include "control/registry.h"

namespace weir::api {
namespace {

auto no_fault(const std::string& name) -> http::Response {
  return api_refusal(404, fmt::format("this proxy has no fault \"{}\"", name.substr(0, 200)));
}

// Takes "position" (from 1) or "before" (another fault's name) out of the body: the place in the chain.
auto take_place(Json& body, const fault::FaultList& list, std::string_view itself)
    -> control::Read<std::optional<std::size_t>> {
  if (!body.is_object() || !(body.contains("position") || body.contains("before"))) return std::nullopt;
  if (body.contains("position") && body.contains("before")) {
    return tl::make_unexpected(control::FieldError{"position", "write either position or before, not both"});
  }
  Json own = Json::object();
  for (const char* key : {"before", "position"}) {
    if (body.contains(key)) own[key] = body[key];
  }
  control::StrictFields fields(own, "", {"before", "position"});
  std::optional<std::size_t> place;
  if (const auto before = fields.text("before")) {
    place = list.place_of(*before);
    if (!place || *before == itself) {
      fields.wrong("before", fmt::format("this proxy has no other fault \"{}\"", before->substr(0, 200)));
    } else if (const auto now = list.place_of(itself); now && *now < *place) {
      --*place;  // as it leaves its place first
    }
  }
  if (const auto position = fields.number("position", 1, 1'000'000)) place = *position - 1;
  if (fields.error()) return tl::make_unexpected(*fields.error());
  body.erase("before");
  body.erase("position");
  return place;
}

}  // namespace

void NativeRoutes::get_faults(const http::Request&, const Parts& parts, http::Responder responder) {
  const SharedResponder answer = share(std::move(responder));
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return when_settled_.answer(answer, no_proxy(parts[0]));
  lists_.add("GET /proxies/NAME/faults", [this, answer, revision = entry->revision, text = ListText("faults"),
                                          faults = FaultsText(*entry, registry_.engine())]() mutable {
    if (!answer->is_awaited()) return false;
    if (faults.write_some(text.end())) return true;
    when_settled_.answer(answer, api_pieces(200, text.finish({{"revision", revision}})));
    return false;
  });
}

auto NativeRoutes::post_faults(const http::Request& request, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  if (auto answer = stale(request, *entry)) return *std::move(answer);
  auto body = read_body(request);
  if (!body) return api_refusal(body.error());
  const auto place = take_place(*body, *entry->faults, "");
  if (!place) return api_refusal(place.error());
  auto spec = control::read_fault(*body, "");
  if (!spec) return api_refusal(spec.error());
  const std::string name = spec->name;
  auto list = entry->faults->with(*std::move(spec), place->value_or(fault::FaultList::at_the_end));
  if (!list) return api_refusal(409, list.error().message);
  auto mark = read_mark(request);
  if (!mark) return std::move(mark.error());
  registry_.set_faults(parts[0], *std::move(list), {"fault.added", parts[0], name, 0});
  registry_.mark_fault(parts[0], name, *std::move(mark));
  return api_json(201, fault_json(*entry, *entry->faults->find(name), registry_.engine()));
}

auto NativeRoutes::get_fault(const http::Request&, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  const auto* spec = entry->faults->find(parts[1]);
  return spec == nullptr ? no_fault(parts[1]) : api_json(200, fault_json(*entry, *spec, registry_.engine()));
}

auto NativeRoutes::patch_fault(const http::Request& request, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  const auto* spec = entry->faults->find(parts[1]);
  if (spec == nullptr || is_another(request, entry->fault_marks.at(parts[1]))) return no_fault(parts[1]);
  if (auto answer = stale(request, *entry)) return *std::move(answer);
  auto body = read_body(request);
  if (!body) return api_refusal(body.error());
  const auto place = take_place(*body, *entry->faults, parts[1]);
  if (!place) return api_refusal(place.error());
  auto changed = control::read_fault_changes(*body, *spec);
  if (!changed) return api_refusal(changed.error());
  auto list = entry->faults->changed(*std::move(changed));
  if (list && *place) list = list->moved(parts[1], **place);
  if (!list) return api_refusal(409, list.error().message);
  registry_.set_faults(parts[0], *std::move(list), {"fault.changed", parts[0], parts[1], 0});
  return api_json(200, fault_json(*entry, *entry->faults->find(parts[1]), registry_.engine()));
}

auto NativeRoutes::delete_fault(const http::Request& request, const Parts& parts) -> http::Response {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  if (entry->faults->find(parts[1]) == nullptr || is_another(request, entry->fault_marks.at(parts[1]))) {
    return no_fault(parts[1]);
  }
  if (auto answer = stale(request, *entry)) return *std::move(answer);
  auto list = entry->faults->without(parts[1]);
  if (!list) return no_fault(parts[1]);
  registry_.set_faults(parts[0], *std::move(list), {"fault.removed", parts[0], parts[1], 0});
  return no_content();
}

}  // namespace weir::api
