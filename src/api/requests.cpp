#include "api/requests.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "api/answers.h"
#include "control/registry.h"

namespace weir::api {

auto read_body(const http::Request& request) -> control::Read<Json> {
  if (const auto why = control::bad_shape(request.body); !why.empty()) {
    return tl::make_unexpected(control::FieldError{"", fmt::format("the body is not what belongs here: {}", why)});
  }
  try {
    // The library takes a zero byte, which JSON nowhere allows, for the end of the text.
    if (request.body.find('\0') == std::string::npos) return Json::parse(request.body);
  } catch (const nlohmann::json::exception&) {
  }
  return tl::make_unexpected(control::FieldError{"", "the body is not JSON: write one JSON object"});
}

auto is_another(const http::Request& request, const control::Mark& mark) -> bool {
  const auto wanted = request.header("weir-id");
  return !wanted.empty() && wanted != mark.id;
}

auto stale(const http::Request& request, const ProxyEntry& entry) -> std::optional<http::Response> {
  auto wanted = request.header("if-match");
  if (wanted.empty() || wanted == "*") return std::nullopt;
  if (wanted.size() > 2 && wanted.front() == '"') wanted = wanted.substr(1, wanted.size() - 2);
  if (wanted == std::to_string(entry.revision)) return std::nullopt;
  return api_refusal(412, fmt::format("the proxy was changed meanwhile: it is at revision {}", entry.revision));
}

auto read_list_query(const http::Request& request, const Registry& registry, std::size_t limit, std::size_t most,
                     std::initializer_list<std::string_view> others) -> tl::expected<ListQuery, http::Response> {
  ListQuery query{.proxy = std::nullopt, .limit = limit};
  for (const auto& [key, value] : request.query) {
    if (key == "proxy") {
      const ProxyEntry* entry = registry.find(value);
      if (entry == nullptr) return tl::make_unexpected(no_proxy(value));
      query.proxy = entry->id;
    } else if (key == "limit") {
      const auto number = parse_number(value);
      if (!number || *number == 0 || *number > most) {
        return tl::make_unexpected(api_refusal(400, fmt::format("limit: write a number from 1 to {}", most), "limit"));
      }
      query.limit = *number;
    } else if (std::ranges::find(others, key) == others.end()) {
      std::vector<std::string_view> known{"proxy", "limit"};
      known.insert(known.end(), others.begin(), others.end());
      return tl::make_unexpected(api_refusal(
          400, fmt::format("{}: {}", key.substr(0, 64), control::unknown_key(key, known)), key.substr(0, 64)));
    }
  }
  return query;
}

auto parse_number(std::string_view text) -> std::optional<std::uint64_t> {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace weir::api
