#include "base/block.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <new>

namespace weir {
namespace {

constexpr std::array<std::size_t, 4> class_sizes{4 * 1024, 16 * 1024, 64 * 1024, BlockPool::fill_block_size};

void destroy(Block* block) {
  block->~Block();
  ::operator delete(block);
}

}  // namespace

auto BlockPool::class_for(std::size_t size) -> std::size_t {
  std::size_t index = 0;
  while (index + 1 < class_sizes.size() && class_sizes[index] < size) ++index;
  return index;
}

BlockPool::~BlockPool() {
  if (fill_ != nullptr && fill_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) recycle(fill_);
  reclaim();
  for (Block*& head : free_) {
    while (head != nullptr) {
      Block* block = head;
      head = block->next;
      allocated_ -= block->capacity;
      destroy(block);
    }
  }
  assert(allocated_ == 0 && "a slice outlives its pool");
}

auto BlockPool::acquire(std::size_t size) -> Block* {
  reclaim();
  const std::size_t index = class_for(size);
  if (Block* block = free_[index]; block != nullptr && block->capacity >= size) {
    free_[index] = block->next;
    cached_ -= block->capacity;
    return block;
  }
  const std::size_t capacity = std::max(size, class_sizes[index]);  // larger than the last class: as it is asked for
  void* memory = ::operator new(sizeof(Block) + capacity, std::nothrow);
  if (memory == nullptr) return nullptr;
  auto* block = new (memory) Block;
  block->capacity = static_cast<std::uint32_t>(capacity);
  block->pool = this;
  allocated_ += block->capacity;
  return block;
}

void BlockPool::recycle(Block* block) {
  if (cached_ + block->capacity > cache_limit || block->capacity > fill_block_size) {
    allocated_ -= block->capacity;
    destroy(block);
    return;
  }
  const std::size_t index = class_for(block->capacity);
  block->next = free_[index];
  free_[index] = block;
  cached_ += block->capacity;
}

void BlockPool::reclaim() {
  if (returned_.load(std::memory_order_relaxed) == nullptr) return;
  Block* block = returned_.exchange(nullptr, std::memory_order_acquire);
  while (block != nullptr) {
    Block* next = block->next;
    recycle(block);
    block = next;
  }
}

void BlockPool::give_back(Block* block) noexcept {
  Block* head = returned_.load(std::memory_order_relaxed);
  do {
    block->next = head;
  } while (!returned_.compare_exchange_weak(head, block, std::memory_order_release, std::memory_order_relaxed));
}

auto BlockPool::space(std::size_t size) -> std::span<std::byte> {
  assert(size <= fill_block_size);
  // If only the pool still refers to the block, its bytes are free again: start over in it.
  if (fill_ != nullptr && fill_used_ > 0 && fill_->references.load(std::memory_order_acquire) == 1) fill_used_ = 0;
  if (fill_ == nullptr || fill_->capacity - fill_used_ < size) {
    Block* next = acquire(fill_block_size);
    if (next == nullptr) return {};
    next->references.store(1, std::memory_order_relaxed);
    if (fill_ != nullptr && fill_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) recycle(fill_);
    fill_ = next;
    fill_used_ = 0;
  }
  return {fill_->bytes() + fill_used_, size};
}

auto BlockPool::commit(std::size_t n) -> Slice {
  Slice slice(fill_, fill_used_, n);
  fill_used_ += n;
  return slice;
}

auto BlockPool::copy(std::span<const std::byte> bytes) -> Slice {
  Block* block = acquire(bytes.size());
  if (block == nullptr) return {};
  block->references.store(0, std::memory_order_relaxed);
  if (!bytes.empty()) std::memcpy(block->bytes(), bytes.data(), bytes.size());
  return Slice(block, 0, bytes.size());
}

}  // namespace weir
