// Keys as a terminal sends them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::cli {

struct Key {
  enum class Kind : std::uint8_t { text, up, down, page_up, page_down, home, end, enter, backspace, escape, other };
  Kind kind = Kind::text;
  std::string text{};  // one character; of Kind::text alone

  auto operator==(const Key&) const -> bool = default;
};

// The keys in what one read(2) returned. An escape byte with nothing behind it is the key Esc: terminals send the
// sequence of a key as a whole.
[[nodiscard]] auto parse_keys(std::string_view bytes) -> std::vector<Key>;

}  // namespace weir::cli
