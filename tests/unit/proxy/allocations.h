#pragma once

#include <cstddef>

namespace weir::proxy::scripted {

// The test program's operator new, counted and made to fail on demand. One thread at a time.
struct Allocations {
  static auto count() -> std::size_t;        // since the program began
  static auto frees() -> std::size_t;        // the same of operator delete
  static auto live_bytes() -> std::size_t;   // allocated and not given back, the allocator's rounding included
  static void fail_nothrow_ones(bool fail);  // new (std::nothrow) gives null, as when memory is exhausted
};

}  // namespace weir::proxy::scripted
