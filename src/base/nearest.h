// What a mistyped word was probably meant to be, for messages.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace weir {

// The known word that takes the fewest letters to insert, remove, replace or swap with their neighbour, if
// `word` is like it at all: at most two letters off, or a third of a long one, and never half of `word`.
[[nodiscard]] auto nearest(std::string_view word, const std::vector<std::string_view>& known)
    -> std::optional<std::string_view>;

}  // namespace weir
