// GET /openapi.json: the table of routes as an OpenAPI document.
#include <array>

#include "api/answers.h"
#include "api/native_routes.h"
#include "api/openapi.h"

namespace weir::api {

auto NativeRoutes::get_openapi(const http::Request&, const Parts&) -> http::Response {
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
    if (route.handler == Handler(&NativeRoutes::get_events) || route.handler == Handler(&NativeRoutes::post_leases)) {
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

}  // namespace weir::api
