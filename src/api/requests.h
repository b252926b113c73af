// What our own routes read of a request.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "api/api.h"
#include "control/proxy_json.h"
#include "http/message.h"

namespace weir::api {

// The whole body as JSON, nothing after it.
[[nodiscard]] auto read_body(const http::Request& request) -> control::Read<Json>;
// Weir-Id: x means this object alone, and not another that has taken its name since.
[[nodiscard]] auto is_another(const http::Request& request, const control::Mark& mark) -> bool;
// If-Match: 17 changes nothing if the object is not at revision 17 any more: the refusal then.
[[nodiscard]] auto stale(const http::Request& request, const ProxyEntry& entry) -> std::optional<http::Response>;
// A list's choices: ?proxy=, one that is there, and ?limit=, from 1 to `most`.
struct ListQuery {
  std::optional<ProxyId> proxy;
  std::size_t limit = 0;
};
// `others`: what else may be asked. The refusal names the parameter at fault, also one that is unknown.
[[nodiscard]] auto read_list_query(const http::Request& request, const Registry& registry, std::size_t limit,
                                   std::size_t most, std::initializer_list<std::string_view> others = {})
    -> tl::expected<ListQuery, http::Response>;
// Digits alone.
[[nodiscard]] auto parse_number(std::string_view text) -> std::optional<std::uint64_t>;

}  // namespace weir::api
