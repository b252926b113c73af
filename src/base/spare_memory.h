#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

namespace weir {

// A place that was set aside, for small allocations when malloc(3) has nothing left: what ends a session, tells an
// event or answers a request goes on then, and so does what cannot fail without ending the process, as it happens in a
// destructor (nlohmann's JSON allocates in its own). Bulk is not served: it would use the place up.
//
// First fit, in pieces with a header of 16 bytes. It is slow, and used when little else can be done. Any thread.
class SpareMemory {
 public:
  // The place is all zeros, aligned to 16 bytes, and outlives what is taken from it.
  constexpr explicit SpareMemory(std::span<std::byte> place) : place_(place) {}

  // Null: nothing of that size is left, or it is more than `largest`.
  [[nodiscard]] auto take(std::size_t size) noexcept -> void*;
  // Was it taken from here? For any pointer.
  [[nodiscard]] auto owns(const void* piece) const noexcept -> bool {
    return piece >= place_.data() && piece < place_.data() + place_.size();
  }
  void give_back(void* piece) noexcept;
  // Of the place, headers included.
  [[nodiscard]] auto used() const noexcept -> std::size_t;

  static constexpr std::size_t largest = 64 * 1024;

 private:
  struct alignas(16) Header {
    std::size_t size;  // of the piece with this header; 0: nothing was ever taken from the place
    bool used;
  };
  [[nodiscard]] auto at(std::size_t offset) noexcept -> Header& {
    return *reinterpret_cast<Header*>(place_.data() + offset);
  }

  mutable std::mutex mutex_;
  std::span<std::byte> place_;
  std::size_t used_ = 0;
};

// What operator new is about to throw std::bad_alloc for: known before anything is unwound, and so to destructors too.
// Any thread.
void note_failed_allocation() noexcept;
[[nodiscard]] auto failed_allocations() noexcept -> std::uint64_t;

}  // namespace weir
