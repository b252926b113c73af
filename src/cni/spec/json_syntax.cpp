#include "cni/spec/json_syntax.h"

#include <algorithm>
#include <vector>

#include "cni/spec/error.h"

namespace weir::cni {
namespace {

constexpr std::string_view too_short = "unexpected end of JSON input";
constexpr std::string_view hex_digits = "0123456789abcdefABCDEF";

// As Go's strconv quotes the character whose number the byte is.
auto character(char byte) -> std::string {
  if (byte == '\'') return "'\\''";
  if (byte == '"') return "'\"'";
  const auto number = static_cast<unsigned char>(byte);
  if (number < 0x80) {
    auto quoted = in_quotes({&byte, 1});
    quoted.front() = quoted.back() = '\'';
    return quoted;
  }
  constexpr std::string_view digits = "0123456789abcdef";
  const bool printed = number > 0xa0 && number != 0xad;  // of Latin-1; the others are controls, and two kinds of blank
  if (!printed) return text({"'\\u00", digits.substr(number >> 4U, 1), digits.substr(number & 15U, 1), "'"});
  std::string quoted = "'";
  quoted += static_cast<char>(0xc0U | (number >> 6U));
  quoted += static_cast<char>(0x80U | (number & 0x3fU));
  return quoted + "'";
}

// Goes through the text once. Each take_...() ends behind what it took, or with an error.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  auto run() -> std::string {
    take_value();
    if (error_.empty() && !at_end()) refuse("after top-level value");
    return error_;
  }

 private:
  [[nodiscard]] auto now() const -> char { return at_ < text_.size() ? text_[at_] : '\0'; }
  [[nodiscard]] auto is_over() const -> bool { return at_ >= text_.size(); }
  auto at_end() -> bool {
    at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
    return is_over();
  }
  auto refuse(std::string_view context) -> void {
    error_ = is_over() ? std::string(too_short) : text({"invalid character ", character(now()), " ", context});
  }
  auto take(std::string_view any_of, std::string_view context) -> bool {
    if (!is_over() && any_of.find(now()) != std::string_view::npos) {
      ++at_;
      return true;
    }
    refuse(context);
    return false;
  }

  // Values in values stand on `open_` ('{' or '['), not on the stack of calls.
  auto take_value() -> void {
    while (error_.empty()) {
      (void)at_end();
      if (now() == '{' || now() == '[') {
        if (begin()) continue;
      } else {
        take_scalar();
      }
      if (!error_.empty() || !next()) return;
    }
  }
  // True if a value has to follow; false if the list or object was empty.
  auto begin() -> bool {
    open_.push_back(now());
    ++at_;
    (void)at_end();
    if (now() != (open_.back() == '{' ? '}' : ']')) return open_.back() == '[' || take_key();
    ++at_;
    open_.pop_back();
    return false;
  }
  auto take_key() -> bool {
    (void)at_end();
    if (!take("\"", "looking for beginning of object key string")) return false;
    take_string();
    (void)at_end();
    return error_.empty() && take(":", "after object key");
  }
  // What stands behind a value. True if another one has to follow.
  auto next() -> bool {
    while (!open_.empty()) {
      (void)at_end();
      const bool object = open_.back() == '{';
      if (!take(object ? ",}" : ",]", object ? "after object key:value pair" : "after array element")) return false;
      if (text_[at_ - 1] == ',') return !object || take_key();
      open_.pop_back();
    }
    return false;
  }

  auto take_scalar() -> void {
    if (now() == '"') {
      ++at_;
      return take_string();
    }
    for (const std::string_view word : {"true", "false", "null"}) {
      if (!is_over() && now() == word[0]) return take_word(word);
    }
    if (now() == '-' || (now() >= '0' && now() <= '9')) return take_number();
    refuse("looking for beginning of value");
  }
  auto take_word(std::string_view word) -> void {
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (!take(word.substr(i, 1), text({"in literal ", word, " (expecting '", word.substr(i, 1), "')"}))) return;
    }
  }
  auto take_string() -> void {
    while (!is_over() && now() != '"') {
      if (static_cast<unsigned char>(now()) < 0x20) return refuse("in string literal");
      if (text_[at_++] != '\\') continue;
      if (!take("bfnrt\\/\"u", "in string escape code")) return;
      for (int digits = text_[at_ - 1] == 'u' ? 4 : 0; digits > 0; --digits) {
        if (!take(hex_digits, "in \\u hexadecimal character escape")) return;
      }
    }
    if (is_over()) return refuse("");
    ++at_;
  }
  auto take_digits(std::string_view context) -> bool {
    if (!take("0123456789", context)) return false;
    while (now() >= '0' && now() <= '9') ++at_;
    return true;
  }
  auto take_number() -> void {
    if (now() == '-') ++at_;
    if (now() == '0') {
      ++at_;
    } else if (!take_digits("in numeric literal")) {
      return;
    }
    if (now() == '.') {
      ++at_;
      if (!take_digits("after decimal point in numeric literal")) return;
    }
    if (now() != 'e' && now() != 'E') return;
    ++at_;
    if (now() == '+' || now() == '-') ++at_;
    (void)take_digits("in exponent of numeric literal");
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<char> open_;
  std::string error_;
};

}  // namespace

auto json_syntax_error(std::string_view text) -> std::string { return Scanner(text).run(); }

}  // namespace weir::cni
