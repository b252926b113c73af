#pragma once

#include <cstdint>
#include <string_view>

#include "view/encode.h"

namespace weir::view {

// What a chunk's bytes look like, if it is a protocol that cannot be read as text: a clause such as "looks like TLS:
// the bytes are encrypted". Empty: nothing is known. `offset`: of its first byte in the direction's stream. `text`: the
// bytes are shown as text, so that any binary protocol is worth a word.
[[nodiscard]] auto stream_hint(Bytes bytes, std::uint64_t offset, bool text) -> std::string_view;

}  // namespace weir::view
