#include "cni/spec/json.h"

#include <algorithm>

#include "base/json_shape.h"
#include "cni/spec/json_syntax.h"
#include "cni/spec/utf8.h"

namespace weir::cni {
namespace {

constexpr std::size_t most_bytes = 16U << 20U;
auto equal_without_case(std::string_view a, std::string_view b) -> bool {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return lower(x) == lower(y); });
}

// As much of it as one can read; the rest is the input's.
auto shortened(const std::string& text) -> std::string {
  constexpr std::size_t most = 200;
  return text.size() <= most ? in_quotes(text) : in_quotes(valid_utf8(text.substr(0, most))) + "...";
}

auto described(const Json& value) -> std::string {
  switch (value.type()) {
    case Json::value_t::object: return "an object";
    case Json::value_t::array: return "a list";
    case Json::value_t::string: return "the string " + shortened(value.get_ref<const std::string&>());
    case Json::value_t::null: return "null";
    case Json::value_t::boolean: return value.get<bool>() ? "true" : "false";
    default: return "the number " + value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
}

}  // namespace

auto parse_json(std::string_view text) -> Result<Json> {
  if (text.size() > most_bytes) return fail(ErrorCode::decoding, "JSON input is larger than 16 MiB");
  if (judge_json_shape(text) == JsonShape::too_deep)
    return fail(ErrorCode::decoding, "JSON input is nested deeper than 64 levels");
  const std::string clean = without_lone_surrogates(valid_utf8(text));
  // nlohmann passes over a byte order mark, and takes a zero byte for the end.
  if (!text.starts_with("\xef\xbb\xbf") && clean.find('\0') == std::string::npos) {
    Json value = Json::parse(clean, nullptr, false);
    if (!value.is_discarded()) return value;
  }
  const auto why = json_syntax_error(text);
  return fail(ErrorCode::decoding, why.empty() ? "JSON input has a number that is too large" : why);
}

auto member(const Json& object, std::string_view key) -> const Json* {
  if (!object.is_object()) return nullptr;
  auto found = object.find(std::string(key));
  if (found == object.end()) {
    for (auto each = object.begin(); each != object.end(); ++each) {
      if (equal_without_case(each.key(), key)) found = each;
    }
  }
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Reader::Reader(const Json& object, std::string prefix, std::string where)
    : object_(&object), prefix_(std::move(prefix)), where_(std::move(where)) {}

auto Reader::wrong(std::string_view key, std::string_view expected, const Json& got) const -> Failure {
  return fail(
      cni::text({prefix_, where_, where_.empty() ? "" : ".", key, ": expected ", expected, ", got ", described(got)}));
}

auto Reader::string(std::string_view key) const -> Result<std::optional<std::string>> {
  const auto* value = member(*object_, key);
  if (value == nullptr) return std::optional<std::string>{};
  if (!value->is_string()) return wrong(key, "a string", *value);
  return std::optional(value->get<std::string>());
}

auto Reader::boolean(std::string_view key) const -> Result<std::optional<bool>> {
  const auto* value = member(*object_, key);
  if (value == nullptr) return std::optional<bool>{};
  if (!value->is_boolean()) return wrong(key, "true or false", *value);
  return std::optional(value->get<bool>());
}

auto Reader::integer(std::string_view key, std::int64_t least, std::int64_t most) const
    -> Result<std::optional<std::int64_t>> {
  const auto* value = member(*object_, key);
  if (value == nullptr) return std::optional<std::int64_t>{};
  const auto range = cni::text({"an integer from ", std::to_string(least), " to ", std::to_string(most)});
  if (!value->is_number_integer()) return wrong(key, range, *value);
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    return wrong(key, range, *value);
  }
  const auto number = value->get<std::int64_t>();
  if (number < least || number > most) return wrong(key, range, *value);
  return std::optional(number);
}

auto Reader::strings(std::string_view key) const -> Result<std::vector<std::string>> {
  const auto list = array(key);
  if (!list) return Failure(list.error());
  std::vector<std::string> out;
  if (*list == nullptr) return out;
  for (const auto& each : **list) {
    if (!each.is_string()) return wrong(key, "a list of strings", each);
    out.push_back(each.get<std::string>());
  }
  return out;
}

auto Reader::object(std::string_view key) const -> Result<const Json*> {
  const auto* value = member(*object_, key);
  if (value != nullptr && !value->is_object()) return wrong(key, "an object", *value);
  return value;
}

auto Reader::array(std::string_view key) const -> Result<const Json*> {
  const auto* value = member(*object_, key);
  if (value != nullptr && !value->is_array()) return wrong(key, "a list", *value);
  return value;
}

auto Reader::inside(std::string_view key) const -> Result<Reader> {
  static const Json nothing = Json::object();
  const auto value = object(key);
  if (!value) return Failure(value.error());
  return Reader(*value == nullptr ? nothing : **value, prefix_, cni::text({where_, where_.empty() ? "" : ".", key}));
}

namespace {

// One level of output; recursion is bounded, as parse_json bounds the depth.
class Printer {
 public:
  Printer(const std::vector<std::string_view>& first, bool compact) : first_(first), compact_(compact) {}

  auto print(const Json& value, std::size_t depth) -> void {
    if (value.is_object()) return print_object(value, depth);
    if (value.is_array()) return print_array(value, depth);
    if (value.is_string()) return print_string(valid_utf8(value.get_ref<const std::string&>()));
    out_ += value.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  auto take() -> std::string { return std::move(out_); }

 private:
  auto line(std::size_t depth) -> void {
    if (compact_) return;
    out_ += '\n';
    out_.append(depth * 4, ' ');
  }

  auto print_object(const Json& value, std::size_t depth) -> void {
    if (value.empty()) return void(out_ += "{}");
    std::vector<std::pair<std::string_view, const Json*>> members;
    for (auto each = value.begin(); each != value.end(); ++each) members.emplace_back(each.key(), &*each);
    const auto rank = [this](std::string_view key) { return std::find(first_.begin(), first_.end(), key); };
    std::stable_sort(members.begin(), members.end(),
                     [&](const auto& a, const auto& b) { return rank(a.first) < rank(b.first); });
    out_ += '{';
    bool later = false;
    for (const auto& [key, each] : members) {
      if (std::exchange(later, true)) out_ += ',';
      line(depth + 1);
      print_string(valid_utf8(key));
      out_ += compact_ ? ":" : ": ";
      print(*each, depth + 1);
    }
    line(depth);
    out_ += '}';
  }

  auto print_array(const Json& value, std::size_t depth) -> void {
    if (value.empty()) return void(out_ += "[]");
    out_ += '[';
    bool later = false;
    for (const auto& each : value) {
      if (std::exchange(later, true)) out_ += ',';
      line(depth + 1);
      print(each, depth + 1);
    }
    line(depth);
    out_ += ']';
  }

  auto print_string(std::string_view value) -> void {
    static constexpr std::string_view hex = "0123456789abcdef";
    out_ += '"';
    for (std::size_t i = 0; i < value.size(); ++i) {
      const char c = value[i];
      const auto byte = static_cast<unsigned char>(c);
      // Lines end with U+2028 and U+2029 in JavaScript, so Go escapes them.
      if (const auto three = value.substr(i, 3); three == "\xe2\x80\xa8" || three == "\xe2\x80\xa9") {
        out_ += three.back() == '\xa8' ? "\\u2028" : "\\u2029";
        i += 2;
      } else if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (c == '\n') {
        out_ += "\\n";
      } else if (c == '\r') {
        out_ += "\\r";
      } else if (c == '\t') {
        out_ += "\\t";
      } else if (byte < 0x20 || c == '<' || c == '>' || c == '&') {  // Go's default escapes HTML, too
        out_ += "\\u00";
        out_ += hex[byte >> 4U];
        out_ += hex[byte & 15U];
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  const std::vector<std::string_view>& first_;
  bool compact_;
  std::string out_;
};

}  // namespace

auto print_json(const Json& value, const std::vector<std::string_view>& first, bool compact) -> std::string {
  Printer printer(first, compact);
  printer.print(value, 0);
  return printer.take();
}

}  // namespace weir::cni
