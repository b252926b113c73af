#pragma once

#include <string>
#include <string_view>

namespace weir::cni {

// Where and why a text is not JSON (RFC 8259), in the words of Go's encoding/json, which programs compare: "invalid
// character '}' after object key". "" if it is JSON; a number's size is not looked at.
[[nodiscard]] auto json_syntax_error(std::string_view text) -> std::string;

}  // namespace weir::cni
