#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir::cni {

// The length of the well-formed sequence that `text` begins with, 1 to 4 bytes; 0 if it begins with none.
[[nodiscard]] auto utf8_length(std::string_view text) -> std::size_t;

// The same text with every byte that is not part of well-formed UTF-8 (RFC 3629: no surrogates, no
// overlong forms) replaced by U+FFFD, as Go's encoding/json does.
[[nodiscard]] auto valid_utf8(std::string_view text) -> std::string;

// JSON with "\\ufffd" in the place of each "\\uXXXX" that is half of a surrogate pair (RFC 8259, section 8.2), as Go
// reads it.
[[nodiscard]] auto without_lone_surrogates(std::string json) -> std::string;

}  // namespace weir::cni
