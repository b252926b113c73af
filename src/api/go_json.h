// JSON bodies by the rules of Go's encoding/json, on which toxiproxy's clients lean: the first value of a
// body counts, keys match in any case, unknown keys are passed over, null leaves the default, and an
// integer is written as one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/api.h"
#include "base/result.h"

namespace weir::api {

// The first JSON value of a body. The error has Go's words: "EOF", "unexpected EOF", "invalid character ...".
[[nodiscard]] auto parse_go_json(std::string_view body) -> Result<Json>;

// Reads the fields of one JSON object, null counting as absent. The first value of a wrong type is
// remembered, and every later answer is empty.
class GoFields {
 public:
  // `type`: what Go calls the struct, for error texts. null is an object without fields.
  GoFields(const Json& object, std::string type);

  [[nodiscard]] auto text(std::string_view key) -> std::optional<std::string>;
  [[nodiscard]] auto flag(std::string_view key) -> std::optional<bool>;
  [[nodiscard]] auto integer(std::string_view key) -> std::optional<std::int64_t>;
  [[nodiscard]] auto number(std::string_view key) -> std::optional<double>;
  // null if absent.
  [[nodiscard]] auto value(std::string_view key) -> const Json&;
  // "json: cannot unmarshal string into Go struct field Proxy.enabled of type bool"; empty: none.
  [[nodiscard]] auto error() const -> const std::string& { return error_; }

 private:
  void wrong(std::string_view key, const Json& value, std::string_view wanted);
  const Json* object_ = nullptr;
  std::string type_;
  std::string error_;
};

// "string", "number", "bool", "array", "object": what Go calls a value in its error texts.
[[nodiscard]] auto go_kind(const Json& value) -> std::string;

}  // namespace weir::api
