#include "cni/spec/error.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "cni/spec/utf8.h"

namespace weir::cni {

auto text(std::initializer_list<std::string_view> pieces) -> std::string {
  std::size_t size = 0;
  for (const auto piece : pieces) size += piece.size();
  std::string joined;
  joined.reserve(size);
  for (const auto piece : pieces) joined += piece;
  return joined;
}

namespace {

auto put_hex(char byte, std::string& out) -> void {
  static constexpr std::string_view digits = "0123456789abcdef";
  out += "\\x";
  out += digits[static_cast<unsigned char>(byte) >> 4U];
  out += digits[static_cast<unsigned char>(byte) & 15U];
}

// One ASCII character as it stands in Go's quotes.
auto put_quoted(char c, std::string& out) -> void {
  static constexpr std::string_view plain = "\"\\\a\b\f\n\r\t\v";
  static constexpr std::string_view letters = "\"\\abfnrtv";
  if (const auto which = plain.find(c); which != std::string_view::npos) {
    out += '\\';
    out += letters[which];
  } else if (c < 0x20 || c == 0x7f) {
    put_hex(c, out);
  } else {
    out += c;
  }
}

}  // namespace

auto in_quotes(std::string_view text) -> std::string {
  std::string out = "\"";
  while (!text.empty()) {
    const auto length = utf8_length(text);
    if (length == 0) put_hex(text[0], out);
    if (length == 1) put_quoted(text[0], out);
    if (length > 1) out += text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
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
