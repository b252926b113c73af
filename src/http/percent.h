// Percent coding of the parts of a URL (RFC 3986, 2.1).
#pragma once

#include <string>
#include <string_view>

namespace weir::http {

// One part of a path or of a query: "a b/c" as "a%20b%2Fc".
[[nodiscard]] auto percent_encode(std::string_view text) -> std::string;
// "a%20b" as "a b"; a malformed escape stays as it is.
[[nodiscard]] auto percent_decode(std::string_view text) -> std::string;

}  // namespace weir::http
