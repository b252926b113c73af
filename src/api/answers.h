// The answers that all routes of our API give.
#pragma once

#include <string>

#include "api/api.h"
#include "control/strict_fields.h"
#include "http/message.h"

namespace weir::api {

inline auto api_json(int status, const Json& body) -> http::Response {
  http::Response answer;
  answer.status = status;
  answer.set("Content-Type", "application/json");
  answer.set("Cache-Control", "no-store");
  answer.body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
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

inline auto api_refusal(const Refusal& why) -> http::Response {
  const std::string sentence = why.field.empty() ? why.message : why.field + ": " + why.message;
  return api_refusal(why.status, sentence, why.field);
}

inline auto no_proxy(const std::string& name) -> http::Response {
  return api_refusal(404, fmt::format("there is no proxy \"{}\"", name.substr(0, 200)));
}

}  // namespace weir::api
