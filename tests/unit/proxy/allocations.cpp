#include "proxy/allocations.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::size_t> allocation_count{0};
std::atomic<std::size_t> free_count{0};
std::atomic<std::size_t> bytes_in_use{0};
std::atomic<bool> nothrow_fails{false};

auto take(std::size_t size) noexcept -> void* {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(size == 0 ? 1 : size);
  // What it really takes, rounding included.
  if (memory != nullptr) bytes_in_use.fetch_add(::malloc_usable_size(memory), std::memory_order_relaxed);
  return memory;
}

void give_back(void* memory) noexcept {
  if (memory != nullptr) {
    free_count.fetch_add(1, std::memory_order_relaxed);
    bytes_in_use.fetch_sub(::malloc_usable_size(memory), std::memory_order_relaxed);
  }
  std::free(memory);
}

}  // namespace

namespace weir::proxy::scripted {

auto Allocations::count() -> std::size_t { return allocation_count.load(std::memory_order_relaxed); }
auto Allocations::frees() -> std::size_t { return free_count.load(std::memory_order_relaxed); }
auto Allocations::live_bytes() -> std::size_t { return bytes_in_use.load(std::memory_order_relaxed); }
void Allocations::fail_nothrow_ones(bool fail) { nothrow_fails.store(fail, std::memory_order_relaxed); }

}  // namespace weir::proxy::scripted

auto operator new(std::size_t size) -> void* {
  if (void* memory = take(size)) return memory;
  throw std::bad_alloc();
}
auto operator new[](std::size_t size) -> void* { return operator new(size); }
auto operator new(std::size_t size, const std::nothrow_t&) noexcept -> void* {
  return nothrow_fails.load(std::memory_order_relaxed) ? nullptr : take(size);
}
auto operator new[](std::size_t size, const std::nothrow_t& tag) noexcept -> void* { return operator new(size, tag); }
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { give_back(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { give_back(memory); }
