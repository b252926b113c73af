#include "api/go_json.h"

#include <algorithm>
#include <sstream>

namespace weir::api {
namespace {

auto same_ignoring_case(std::string_view a, std::string_view b) -> bool {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return lower(x) == lower(y); });
}

constexpr std::string_view blanks = " \t\r\n";

}  // namespace

auto parse_go_json(std::string_view body) -> Result<Json> {
  const auto begin = body.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return failure("EOF");
  if (const auto why = control::bad_shape(body); !why.empty()) return failure("json: " + why);
  try {
    std::istringstream in{std::string(body.substr(begin))};
    Json value;
    in >> value;
    return value;
  } catch (const nlohmann::json::parse_error& error) {
    const std::size_t at = error.byte > 0 ? begin + error.byte - 1 : begin;
    if (at >= body.size()) return failure("unexpected EOF");
    return failure(fmt::format("invalid character '{}' looking for beginning of value", body[at]));
  } catch (const nlohmann::json::exception&) {
    return failure("json: cannot unmarshal number: it is out of range");
  }
}

auto go_kind(const Json& value) -> std::string {
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "bool";
  if (value.is_array()) return "array";
  if (value.is_object()) return "object";
  return "number";
}

GoFields::GoFields(const Json& object, std::string type) : type_(std::move(type)) {
  if (object.is_object()) {
    object_ = &object;
  } else if (!object.is_null()) {
    error_ = fmt::format("json: cannot unmarshal {} into Go value of type {}", go_kind(object), type_);
  }
}

void GoFields::wrong(std::string_view key, const Json& value, std::string_view wanted) {
  if (!error_.empty()) return;
  const std::string literal = value.is_number() ? "number " + value.dump() : go_kind(value);
  error_ = fmt::format("json: cannot unmarshal {} into Go struct field {}.{} of type {}", literal, type_, key, wanted);
}

auto GoFields::value(std::string_view key) -> const Json& {
  static const Json null;
  const Json* found = &null;
  if (object_ == nullptr || !error_.empty()) return null;
  // The last one counts, as in Go.
  for (auto each = object_->begin(); each != object_->end(); ++each) {
    if (same_ignoring_case(each.key(), key)) found = &each.value();
  }
  return *found;
}

auto GoFields::text(std::string_view key) -> std::optional<std::string> {
  const Json& found = value(key);
  if (found.is_string()) return found.get<std::string>();
  if (!found.is_null()) wrong(key, found, "string");
  return std::nullopt;
}

auto GoFields::flag(std::string_view key) -> std::optional<bool> {
  const Json& found = value(key);
  if (found.is_boolean()) return found.get<bool>();
  if (!found.is_null()) wrong(key, found, "bool");
  return std::nullopt;
}

auto GoFields::integer(std::string_view key) -> std::optional<std::int64_t> {
  const Json& found = value(key);
  if (const auto whole = control::integer_of(found)) return whole;
  if (!found.is_null()) wrong(key, found, "int64");
  return std::nullopt;
}

auto GoFields::number(std::string_view key) -> std::optional<double> {
  const Json& found = value(key);
  if (found.is_number()) return found.get<double>();
  if (!found.is_null()) wrong(key, found, "float32");
  return std::nullopt;
}

}  // namespace weir::api
