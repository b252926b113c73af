#include "cni/spec/error.h"

#include <array>
#include <cctype>
#include <cstring>

namespace weir::cni {

auto text(std::initializer_list<std::string_view> pieces) -> std::string {
  std::size_t size = 0;
  for (const auto piece : pieces) size += piece.size();
  std::string joined;
  joined.reserve(size);
  for (const auto piece : pieces) joined += piece;
  return joined;
}

auto in_quotes(std::string_view text) -> std::string {
  static constexpr std::string_view hex = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (byte < 0x20 || byte == 0x7f) {
          out += "\\x";
          out += hex[byte >> 4U];
          out += hex[byte & 15U];
        } else {
          out += c;
        }
    }
  }
  return out += '"';
}

auto errno_words(int code) -> std::string {
  // strerrordesc_np gives the C library's constant text: no locale is loaded for it.
  const char* words = ::strerrordesc_np(code);
  if (words == nullptr) return "errno " + std::to_string(code);
  std::string out = words;
  // Go writes its own table: all in lower case but for abbreviations such as "RPC".
  if (out.size() > 1 && std::islower(static_cast<unsigned char>(out[1])) != 0) {
    out[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(out[0])));
  }
  return out;
}

}  // namespace weir::cni
