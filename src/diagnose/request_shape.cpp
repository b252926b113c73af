#include "diagnose/request_shape.h"

namespace weir::diagnose {
namespace {

constexpr std::uint8_t number_mark = 1;
constexpr std::uint8_t quoted_mark = 2;
constexpr std::uint8_t binary_mark = 3;

auto is_digit(char c) -> bool { return c >= '0' && c <= '9'; }
auto is_binary(char c) -> bool {
  return (c >= 0 && c < ' ' && c != '\n' && c != '\r' && c != '\t') || c < 0 || c == 0x7f;
}

}  // namespace

void RequestShape::mark(std::uint8_t what) {
  constexpr std::uint64_t fnv_prime = 1'099'511'628'211U;
  hash_ = (hash_ ^ what) * fnv_prime;
}

void RequestShape::add(std::string_view bytes) {
  constexpr std::uint32_t head = 5;  // where a message's length may stand
  for (const char c : bytes) {
    if (seen_ == most_bytes) return;
    const std::uint32_t at = seen_++;
    if (quote_ != 0) {
      if (c == quote_) quote_ = 0;
      continue;
    }
    if (at == 0) {
      first_ = c;  // a length, if a zero follows
      continue;
    }
    if (at < head) is_binary_head_ |= c == 0;
    if (at == 1) mark(is_binary_head_ || is_binary(first_) ? binary_mark : static_cast<std::uint8_t>(first_));
    std::uint8_t run = 0;
    if (is_digit(c)) {
      run = number_mark;
    } else if (is_binary(c) || (at < head && is_binary_head_)) {
      run = binary_mark;
    }
    if (c == '\'' || c == '"') {
      quote_ = c;
      run_ = 0;
      mark(quoted_mark);
    } else if (run == 0) {
      run_ = 0;
      mark(static_cast<std::uint8_t>(c));
    } else if (run != run_) {
      run_ = run;
      mark(run);
    }
  }
}

}  // namespace weir::diagnose
