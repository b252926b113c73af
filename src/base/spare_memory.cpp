#include "base/spare_memory.h"

#include <atomic>

namespace weir {
namespace {

std::atomic<std::uint64_t> failed{0};

}  // namespace

void note_failed_allocation() noexcept { failed.fetch_add(1, std::memory_order_relaxed); }

auto failed_allocations() noexcept -> std::uint64_t { return failed.load(std::memory_order_relaxed); }

auto SpareMemory::take(std::size_t size) noexcept -> void* {
  if (size > largest) return nullptr;
  const std::size_t wanted = sizeof(Header) + (size + sizeof(Header) - 1) / sizeof(Header) * sizeof(Header);
  const std::lock_guard lock(mutex_);
  if (wanted > place_.size()) return nullptr;
  if (at(0).size == 0) at(0) = {.size = place_.size(), .used = false};
  for (std::size_t offset = 0; offset < place_.size(); offset += at(offset).size) {
    Header& piece = at(offset);
    if (piece.used) continue;
    // What was given back in between is one piece again.
    while (offset + piece.size < place_.size() && !at(offset + piece.size).used) {
      piece.size += at(offset + piece.size).size;
    }
    if (piece.size < wanted) continue;
    if (piece.size >= wanted + 2 * sizeof(Header)) {
      at(offset + wanted) = {.size = piece.size - wanted, .used = false};
      piece.size = wanted;
    }
    piece.used = true;
    used_ += piece.size;
    return &piece + 1;
  }
  return nullptr;
}

void SpareMemory::give_back(void* piece) noexcept {
  const std::lock_guard lock(mutex_);
  Header& header = *(static_cast<Header*>(piece) - 1);
  header.used = false;
  used_ -= header.size;
}

auto SpareMemory::used() const noexcept -> std::size_t {
  const std::lock_guard lock(mutex_);
  return used_;
}

}  // namespace weir
