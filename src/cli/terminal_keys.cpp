#include "cli/terminal_keys.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weir::cli {
namespace {

using Kind = Key::Kind;

// By what follows "ESC [" or "ESC O" (ECMA-48 and DEC VT220, as xterm sends them).
constexpr std::array<std::pair<std::string_view, Kind>, 12> sequences{{{"A", Kind::up},
                                                                       {"B", Kind::down},
                                                                       {"H", Kind::home},
                                                                       {"F", Kind::end},
                                                                       {"M", Kind::enter},
                                                                       {"1~", Kind::home},
                                                                       {"4~", Kind::end},
                                                                       {"7~", Kind::home},
                                                                       {"8~", Kind::end},
                                                                       {"5~", Kind::page_up},
                                                                       {"6~", Kind::page_down},
                                                                       {"3~", Kind::backspace}}};

// How long the sequence behind ESC is: "[" parameters final, or "O" final.
auto sequence_length(std::string_view rest) -> std::size_t {
  if (rest[0] == 'O') return std::min<std::size_t>(rest.size(), 2);
  std::size_t end = 1;
  while (end < rest.size() && (rest[end] < '@' || rest[end] > '~')) ++end;  // mutant: keys-sequence-read-as-text
  return std::min(end + 1, rest.size());
}

auto character_size(char lead) -> std::size_t {
  const auto byte = static_cast<unsigned char>(lead);
  if (byte < 0xc0) return 1;
  if (byte < 0xe0) return 2;  // mutant: keys-cut-a-character
  return byte < 0xf0 ? 3 : 4;
}

auto plain_key(std::string_view character) -> Key {
  const char c = character[0];
  if (c == '\r' || c == '\n') return {Kind::enter};
  if (c == '\x7f' || c == '\b') return {Kind::backspace};
  if (c >= 0 && c < ' ') return {Kind::other};
  return {Kind::text, std::string(character)};
}

}  // namespace

auto parse_keys(std::string_view bytes) -> std::vector<Key> {
  std::vector<Key> keys;
  while (!bytes.empty()) {
    std::size_t length = std::min(character_size(bytes[0]), bytes.size());
    if (bytes[0] != '\x1b') {
      keys.push_back(plain_key(bytes.substr(0, length)));
    } else if (bytes.size() > 1 && (bytes[1] == '[' || bytes[1] == 'O')) {
      length = 1 + sequence_length(bytes.substr(1));
      const auto* const found =
          std::ranges::find(sequences, bytes.substr(2, length - 2), &std::pair<std::string_view, Kind>::first);
      keys.push_back({found == sequences.end() ? Kind::other : found->second});
    } else {
      keys.push_back({Kind::escape});
    }
    bytes.remove_prefix(length);
  }
  return keys;
}

}  // namespace weir::cli
