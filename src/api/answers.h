// The answers that all routes of our API give.
#pragma once

#include <string>

#include "api/api.h"
#include "control/strict_fields.h"
#include "http/message.h"

namespace weir::api {

[[nodiscard]] inline auto json_text(const Json& value) -> std::string {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// `body` is JSON.
inline auto api_text(int status, std::string body) -> http::Response {
  http::Response answer;
  answer.status = status;
  answer.set("Content-Type", "application/json");
  answer.set("Cache-Control", "no-store");
  answer.body = std::move(body) + "\n";
  return answer;
}
// The same of what was put together in steps, with its line's end.
inline auto api_pieces(int status, http::BodyPieces body) -> http::Response {
  http::Response answer;
  answer.status = status;
  answer.set("Content-Type", "application/json");
  answer.set("Cache-Control", "no-store");
  answer.shared_body = std::move(body);
  return answer;
}
inline auto api_json(int status, const Json& body) -> http::Response { return api_text(status, json_text(body)); }

inline auto no_content() -> http::Response {
  http::Response answer;
  answer.status = 204;
  return answer;
}

inline auto api_refusal(int status, const std::string& message, const std::string& field = "") -> http::Response {
  Json body{{"error", message}, {"status", status}};
  if (!field.empty()) body["field"] = field;
  return api_json(status, body);
}

inline auto api_refusal(const control::FieldError& error) -> http::Response {
  return api_refusal(400, error.sentence(), error.path);
}

[[nodiscard]] inline auto status_of(control::RefusalKind kind) -> int {
  switch (kind) {
    case control::RefusalKind::not_found: return 404;
    case control::RefusalKind::conflict:
    case control::RefusalKind::too_many:
    case control::RefusalKind::cannot_listen: return 409;
  }
  return 500;
}

inline auto api_refusal(const Refusal& why) -> http::Response {
  const std::string sentence = why.field.empty() ? why.message : why.field + ": " + why.message;
  return api_refusal(status_of(why.kind), sentence, why.field);
}

inline auto no_proxy(const std::string& name) -> http::Response {
  return api_refusal(404, fmt::format("there is no proxy \"{}\"", name.substr(0, 200)));
}

}  // namespace weir::api
