#include "control/native_routes.h"

#include <array>

#include "control/log_choice.h"
#include "control/native_answers.h"
#include "control/openapi.h"
#include "control/proxy_json.h"

namespace weir::control {
namespace {

auto no_fault(const std::string& name) -> HttpAnswer {
  return api_refusal(404, fmt::format("this proxy has no fault \"{}\"", name.substr(0, 200)));
}

// The whole body, nothing after it.
auto read_body(const HttpRequest& request) -> Read<Json> {
  if (const auto why = bad_shape(request.body); !why.empty()) {
    return tl::make_unexpected(FieldError{"", fmt::format("the body is not what belongs here: {}", why)});
  }
  try {
    // The library takes a zero byte, which JSON nowhere allows, for the end of the text.
    if (request.body.find('\0') == std::string::npos) return Json::parse(request.body);
  } catch (const nlohmann::json::exception&) {
  }
  return tl::make_unexpected(FieldError{"", "the body is not JSON: write one JSON object"});
}

// Weir-Id: x means this object alone, and not another that has taken its name since.
auto is_another(const HttpRequest& request, const Mark& mark) -> bool {
  const auto wanted = request.header("weir-id");
  return !wanted.empty() && wanted != mark.id;
}

// If-Match: 17 changes nothing if the object is not at revision 17 any more.
auto stale(const HttpRequest& request, const ProxyEntry& entry) -> std::optional<HttpAnswer> {
  auto wanted = request.header("if-match");
  if (wanted.empty() || wanted == "*") return std::nullopt;
  if (wanted.size() > 2 && wanted.front() == '"') wanted = wanted.substr(1, wanted.size() - 2);
  if (wanted == std::to_string(entry.revision)) return std::nullopt;
  return api_refusal(412, fmt::format("the proxy was changed meanwhile: it is at revision {}", entry.revision));
}

auto proxy_answer(int status, const ProxyEntry& entry, const engine::Engine& engine) -> HttpAnswer {
  auto answer = api_json(status, proxy_json(entry, engine));
  answer.set("ETag", fmt::format("\"{}\"", entry.revision));
  return answer;
}

// Takes "position" (from 1) or "before" (another fault's name) out of the body: the place in the chain.
auto take_place(Json& body, const fault::FaultList& list, std::string_view itself) -> Read<std::optional<std::size_t>> {
  if (!body.is_object() || !(body.contains("position") || body.contains("before"))) return std::nullopt;
  if (body.contains("position") && body.contains("before")) {
    return tl::make_unexpected(FieldError{"position", "write either position or before, not both"});
  }
  Json own = Json::object();
  for (const char* key : {"before", "position"}) {
    if (body.contains(key)) own[key] = body[key];
  }
  StrictFields fields(own, "", {"before", "position"});
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

// A path under /api/v1, "*" standing for one part that is handed to the handler.
struct NativeRoutes::Route {
  std::string_view method;
  std::string_view path;
  std::string_view summary;
  int success;
  HttpAnswer (NativeRoutes::*handler)(const HttpRequest&, const Parts&);
  std::string_view answer;  // its schema; empty: nothing, or no JSON
  std::string_view body{};  // its schema; empty: none is read
};

auto NativeRoutes::routes() -> const std::vector<Route>& {
  static const std::vector<Route> all{
      {"GET", "/version", "The version and the seed of this run", 200, &NativeRoutes::get_version, "Version"},
      {"GET", "/health", "Is every worker's loop turning?", 200, &NativeRoutes::get_health, "Health"},
      {"GET", "/ready", "Do all enabled proxies listen?", 200, &NativeRoutes::get_ready, "Ready"},
      {"GET", "/catalog", "Every fault with its attributes", 200, &NativeRoutes::get_catalog, "Catalog"},
      {"GET", "/settings", "Every setting of a proxy with its default and meaning", 200, &NativeRoutes::get_settings,
       "SettingCatalog"},
      {"GET", "/timeouts", "Every timeout with its default and meaning", 200, &NativeRoutes::get_timeouts,
       "TimeoutCatalog"},
      {"GET", "/log", "Where the log goes, and how each target fares", 200, &NativeRoutes::get_log, "Log"},
      {"GET", "/openapi.json", "This document", 200, &NativeRoutes::get_openapi, ""},
      {"GET", "/events", "Server-sent events; Last-Event-ID resumes", 200, &NativeRoutes::get_events, ""},
      {"GET", "/sessions", "Live sessions; ?proxy= and ?limit= narrow it", 200, &NativeRoutes::get_sessions,
       "Sessions"},
      {"GET", "/proxies", "All proxies", 200, &NativeRoutes::get_proxies, "Proxies"},
      {"POST", "/proxies", "Add a proxy, with its faults", 201, &NativeRoutes::post_proxies, "Proxy", "NewProxy"},
      {"GET", "/proxies/*", "One proxy", 200, &NativeRoutes::get_proxy, "Proxy"},
      {"PATCH", "/proxies/*", "Change what is given; If-Match makes it conditional", 200, &NativeRoutes::patch_proxy,
       "Proxy", "ProxyChanges"},
      {"DELETE", "/proxies/*", "Remove it; its sessions are closed before the answer", 204, &NativeRoutes::delete_proxy,
       ""},
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

namespace {

auto split(std::string_view path) -> std::vector<std::string_view> {
  std::vector<std::string_view> parts;
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return parts;
}

// Does the path have the pattern's form? Fills what stands for each "*".
auto matches(std::string_view pattern, std::string_view path, std::vector<std::string>& open) -> bool {
  const auto wanted = split(pattern);
  const auto given = split(path);
  if (wanted.size() != given.size()) return false;
  open.clear();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "*") {
      open.push_back(percent_decode(given[i]));
    } else if (wanted[i] != given[i]) {
      return false;
    }
  }
  return true;
}

constexpr std::string_view prefix = "/api/v1";

}  // namespace

auto NativeRoutes::handle(const HttpRequest& request) -> HttpAnswer {
  if (!request.path.starts_with(prefix)) return api_refusal(404, "there is nothing here; the API stands under /api/v1");
  const auto path = std::string_view(request.path).substr(prefix.size());
  bool path_known = false;
  Parts parts;
  for (const Route& route : routes()) {
    if (!matches(route.path, path, parts)) continue;
    path_known = true;
    if (route.method == request.method) return (this->*route.handler)(request, parts);
  }
  if (path_known) return api_refusal(405, "this path does not take " + request.method.substr(0, 32));
  return api_refusal(404, "there is nothing here; GET /api/v1/openapi.json lists what there is");
}

auto NativeRoutes::get_version(const HttpRequest&, const Parts&) -> HttpAnswer {
  return api_json(200, {{"version", version_},
                        {"seed", registry_.engine().seed()},
                        {"revision", registry_.revision()},
                        {"last_event", events_.last_id()}});
}

auto NativeRoutes::get_health(const HttpRequest&, const Parts&) -> HttpAnswer {
  const Nanos lag = registry_.engine().loop_lag(loop_patience);
  const bool healthy = lag < loop_patience;
  return api_json(healthy ? 200 : 503,
                  {{"healthy", healthy}, {"loop_lag_seconds", std::chrono::duration<double>(lag).count()}});
}

auto NativeRoutes::get_ready(const HttpRequest&, const Parts&) -> HttpAnswer {
  Json down = Json::array();
  for (const auto& [name, entry] : registry_.all()) {
    if (entry.rules.enabled && !entry.listening) down.push_back(name);
  }
  return api_json(down.empty() ? 200 : 503, {{"ready", down.empty()}, {"not_listening", std::move(down)}});
}

auto NativeRoutes::get_catalog(const HttpRequest&, const Parts&) -> HttpAnswer {
  return api_json(200, {{"faults", catalog_json()}});
}

auto NativeRoutes::get_settings(const HttpRequest&, const Parts&) -> HttpAnswer {
  return api_json(200, {{"settings", settings_catalog_json()}});
}

auto NativeRoutes::get_timeouts(const HttpRequest&, const Parts&) -> HttpAnswer {
  const Json defaults = timeouts_json({});
  Json all = Json::array();
  for (const auto& info : event::timeout_catalog()) {
    const std::string name(info.text);
    all.push_back(
        {{"name", name}, {"default", defaults[name]}, {"may_be_off", info.may_be_off}, {"meaning", info.meaning}});
  }
  return api_json(200, {{"timeouts", std::move(all)}});
}

auto NativeRoutes::get_log(const HttpRequest&, const Parts&) -> HttpAnswer {
  return api_json(200, log_status_json(log_));
}

auto NativeRoutes::get_openapi(const HttpRequest&, const Parts&) -> HttpAnswer {
  const auto names_in = [](std::string_view path) -> std::array<std::string_view, 2> {
    if (path.starts_with("/leases/")) return {"lease", ""};
    if (path.find("/sessions/") != std::string_view::npos) return {"proxy", "session"};
    if (path.find("/holds/") != std::string_view::npos) return {"proxy", "hold"};
    return {"proxy", "fault"};
  };
  Json paths = Json::object();
  for (const Route& route : routes()) {
    const auto own = names_in(route.path);
    std::string path;
    Json parameters = Json::array();
    for (const auto part : split(route.path)) {
      if (part != "*") {
        path += "/" + std::string(part);
        continue;
      }
      const std::string name(own[parameters.size()]);
      path += "/{" + name + "}";
      parameters.push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
    }
    std::string method(route.method);
    for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
    const auto content = [](std::string_view schema) {
      return Json{{"application/json", {{"schema", schema_ref(schema)}}}};
    };
    Json success{{"description", "done"}};
    if (!route.answer.empty()) success["content"] = content(route.answer);
    if (route.handler == &NativeRoutes::get_events || route.handler == &NativeRoutes::post_leases) {
      success["content"] = {{"text/event-stream", {{"schema", {{"type", "string"}}}}}};
    }
    Json operation{{"summary", route.summary},
                   {"responses",
                    {{std::to_string(route.success), std::move(success)},
                     {"default", {{"description", "why it was not done"}, {"content", content("Error")}}}}}};
    if (!parameters.empty()) operation["parameters"] = std::move(parameters);
    if (!route.body.empty()) operation["requestBody"] = {{"required", true}, {"content", content(route.body)}};
    paths[std::string(prefix) + path][method] = std::move(operation);
  }
  return api_json(200, {{"openapi", "3.0.3"},
                        {"info", {{"title", "Weir"}, {"version", version_}}},
                        {"paths", std::move(paths)},
                        {"components", {{"schemas", openapi_schemas()}}}});
}

auto NativeRoutes::get_proxies(const HttpRequest&, const Parts&) -> HttpAnswer {
  Json all = Json::array();
  for (const auto& [name, entry] : registry_.all()) all.push_back(proxy_json(entry, registry_.engine()));
  return api_json(200, {{"proxies", std::move(all)}});
}

auto NativeRoutes::post_proxies(const HttpRequest& request, const Parts&) -> HttpAnswer {
  const auto body = read_body(request);
  if (!body) return api_refusal(body.error());
  auto definition = read_definition(*body, "", {});
  if (!definition) return api_refusal(definition.error());
  auto mark = read_mark(request);
  if (!mark) return std::move(mark.error());
  const auto made =
      registry_.create(std::move(definition->name), std::move(definition->rules),
                       std::make_shared<fault::FaultList>(std::move(definition->faults)), *std::move(mark));
  return made ? proxy_answer(201, **made, registry_.engine()) : api_refusal(made.error());
}

auto NativeRoutes::get_proxy(const HttpRequest&, const Parts& parts) -> HttpAnswer {
  const ProxyEntry* entry = registry_.find(parts[0]);
  return entry == nullptr ? no_proxy(parts[0]) : proxy_answer(200, *entry, registry_.engine());
}

auto NativeRoutes::patch_proxy(const HttpRequest& request, const Parts& parts) -> HttpAnswer {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr || is_another(request, entry->mark)) return no_proxy(parts[0]);
  if (auto answer = stale(request, *entry)) return *std::move(answer);
  const auto body = read_body(request);
  if (!body) return api_refusal(body.error());
  auto rules = read_changes(*body, *entry);
  if (!rules) return api_refusal(rules.error());
  const auto changed = registry_.change(parts[0], *std::move(rules));
  return changed ? proxy_answer(200, **changed, registry_.engine()) : api_refusal(changed.error());
}

auto NativeRoutes::delete_proxy(const HttpRequest& request, const Parts& parts) -> HttpAnswer {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr || is_another(request, entry->mark)) return no_proxy(parts[0]);
  if (auto answer = stale(request, *entry)) return *std::move(answer);
  registry_.remove(parts[0]);
  HttpAnswer answer;
  answer.status = 204;
  return answer;
}

auto NativeRoutes::get_faults(const HttpRequest&, const Parts& parts) -> HttpAnswer {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  return api_json(200, {{"faults", proxy_json(*entry, registry_.engine())["faults"]}, {"revision", entry->revision}});
}

auto NativeRoutes::post_faults(const HttpRequest& request, const Parts& parts) -> HttpAnswer {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  if (auto answer = stale(request, *entry)) return *std::move(answer);
  auto body = read_body(request);
  if (!body) return api_refusal(body.error());
  const auto place = take_place(*body, *entry->faults, "");
  if (!place) return api_refusal(place.error());
  auto spec = read_fault(*body, "");
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

auto NativeRoutes::get_fault(const HttpRequest&, const Parts& parts) -> HttpAnswer {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  const auto* spec = entry->faults->find(parts[1]);
  return spec == nullptr ? no_fault(parts[1]) : api_json(200, fault_json(*entry, *spec, registry_.engine()));
}

auto NativeRoutes::patch_fault(const HttpRequest& request, const Parts& parts) -> HttpAnswer {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  const auto* spec = entry->faults->find(parts[1]);
  if (spec == nullptr || is_another(request, entry->fault_marks.at(parts[1]))) return no_fault(parts[1]);
  if (auto answer = stale(request, *entry)) return *std::move(answer);
  auto body = read_body(request);
  if (!body) return api_refusal(body.error());
  const auto place = take_place(*body, *entry->faults, parts[1]);
  if (!place) return api_refusal(place.error());
  auto changed = read_fault_changes(*body, *spec);
  if (!changed) return api_refusal(changed.error());
  auto list = entry->faults->changed(*std::move(changed));
  if (list && *place) list = list->moved(parts[1], **place);
  if (!list) return api_refusal(409, list.error().message);
  registry_.set_faults(parts[0], *std::move(list), {"fault.changed", parts[0], parts[1], 0});
  return api_json(200, fault_json(*entry, *entry->faults->find(parts[1]), registry_.engine()));
}

auto NativeRoutes::delete_fault(const HttpRequest& request, const Parts& parts) -> HttpAnswer {
  const ProxyEntry* entry = registry_.find(parts[0]);
  if (entry == nullptr) return no_proxy(parts[0]);
  if (entry->faults->find(parts[1]) == nullptr || is_another(request, entry->fault_marks.at(parts[1]))) {
    return no_fault(parts[1]);
  }
  if (auto answer = stale(request, *entry)) return *std::move(answer);
  auto list = entry->faults->without(parts[1]);
  if (!list) return no_fault(parts[1]);
  registry_.set_faults(parts[0], *std::move(list), {"fault.removed", parts[0], parts[1], 0});
  HttpAnswer answer;
  answer.status = 204;
  return answer;
}

}  // namespace weir::control
