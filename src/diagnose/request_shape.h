#pragma once

#include <cstdint>
#include <string_view>

namespace weir::diagnose {

// What stays the same of requests that differ in their literals alone: a hash of the first bytes of a request, in
// which each number, each quoted text and each run of bytes that are no text counts as one mark. A machine of 24 bytes
// that takes the request in any pieces.
class RequestShape {
 public:
  static constexpr std::uint32_t most_bytes = 512;  // what stands behind is not looked at
  void begin() { *this = {}; }
  void add(std::string_view bytes);
  [[nodiscard]] auto hash() const -> std::uint64_t { return hash_; }

 private:
  void mark(std::uint8_t what);

  static constexpr std::uint64_t fnv_basis = 14'695'981'039'346'656'037U;
  std::uint64_t hash_ = fnv_basis;
  std::uint32_t seen_ = 0;
  char first_ = 0;
  char quote_ = 0;               // in a quoted text, the quote that ends it
  std::uint8_t run_ = 0;         // the mark of the run that goes on; 0: none
  bool is_binary_head_ = false;  // a length stands where a text would begin
};

}  // namespace weir::diagnose
