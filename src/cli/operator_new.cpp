// The program's operator new: when malloc(3) fails, small allocations are served from memory that was set aside, so
// that what needs much is given up in order (base/out_of_memory.h) and what needs little goes on. It also serves what
// is allocated before main() begins.
#include "cli/operator_new.h"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "base/spare_memory.h"

// NOLINTBEGIN(cppcoreguidelines-no-malloc): what owns memory everywhere else stands on these.
namespace {

// It stands in .bss: memory that nobody has touched costs nothing.
constexpr std::size_t spare_size = 1024 * 1024;
alignas(16) constinit std::array<std::byte, spare_size> place{};
constinit weir::SpareMemory spare{place};
constinit bool uses_spare = true;

void release(void* memory) noexcept {
  if (spare.owns(memory)) [[unlikely]] {
    spare.give_back(memory);
  } else {
    std::free(memory);
  }
}

}  // namespace

void weir::cli::use_no_spare_memory() { uses_spare = false; }

// Those for arrays call these.
auto operator new(std::size_t size) -> void* {
  if (void* memory = std::malloc(size); memory != nullptr) [[likely]]
    return memory;
  if (uses_spare) {
    if (void* memory = spare.take(size); memory != nullptr) return memory;
  }
  weir::note_failed_allocation();
  throw std::bad_alloc();
}
// Who can do without it, such as for blocks of bytes to relay, leaves the spare memory to those who cannot.
auto operator new(std::size_t size, const std::nothrow_t& /*says so*/) noexcept -> void* { return std::malloc(size); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { release(memory); }
// NOLINTEND(cppcoreguidelines-no-malloc)
