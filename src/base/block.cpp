#include "base/block.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <new>

namespace weir {
namespace {

constexpr std::array<std::size_t, 6> class_sizes{4 * 1024,  16 * 1024,  32 * 1024,
                                                 64 * 1024, 128 * 1024, BlockPool::fill_block_size};

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
  if (own_ != nullptr) recycle(own_);
  if (fill_ != nullptr && fill_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) recycle(fill_);
  while (give_some_back()) {
  }
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
  (void)give_some_back();
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

auto BlockPool::give_some_back() -> bool {
  // More than a block: a reader of this pool alone works off whatever is there.
  constexpr std::size_t at_a_time = 4 * fill_block_size;
  for (std::size_t bytes = 0; bytes < at_a_time;) {
    if (back_ == nullptr) {
      if (returned_.load(std::memory_order_relaxed) == nullptr) return false;
      back_ = returned_.exchange(nullptr, std::memory_order_acquire);
    }
    Block* block = std::exchange(back_, back_->next);
    bytes += block->capacity;
    recycle(block);
  }
  return true;
}

void BlockPool::charge(Block& block, std::atomic<std::uint64_t>* charged) {
  block.charged = charged;
  if (charged != nullptr) charged->fetch_add(sizeof(Block) + block.capacity, std::memory_order_relaxed);
}

void BlockPool::give_back(Block* block) noexcept {
  if (auto* charged = std::exchange(block->charged, nullptr)) {
    charged->fetch_sub(sizeof(Block) + block->capacity, std::memory_order_relaxed);
  }
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

auto BlockPool::own_space(std::size_t size) -> std::span<std::byte> {
  // One that was larger than it had to be would be kept whole for the little that is read into it.
  if (own_ != nullptr && own_->capacity != class_sizes[class_for(size)]) recycle(std::exchange(own_, nullptr));
  if (own_ == nullptr) own_ = acquire(size);
  if (own_ == nullptr) return {};
  return {own_->bytes(), size};
}

auto BlockPool::commit_own(std::size_t n, std::atomic<std::uint64_t>* charged) -> Slice {
  Block* block = std::exchange(own_, nullptr);
  block->references.store(0, std::memory_order_relaxed);
  charge(*block, charged);
  return Slice(block, 0, n);
}

auto BlockPool::copy(std::span<const std::byte> bytes, std::atomic<std::uint64_t>* charged) -> Slice {
  Block* block = acquire(bytes.size());
  if (block == nullptr) return {};
  block->references.store(0, std::memory_order_relaxed);
  charge(*block, charged);
  if (!bytes.empty()) std::memcpy(block->bytes(), bytes.data(), bytes.size());
  return Slice(block, 0, bytes.size());
}

auto BlockFill::copy(BlockPool& pool, std::span<const std::byte> bytes, std::size_t ahead) -> Slice {
  const std::size_t used = last_.block_ == nullptr ? 0 : last_.offset_ + last_.size_;
  if (last_.block_ == nullptr || last_.block_->capacity - used < bytes.size()) {
    constexpr std::size_t most_ahead = 64 * 1024;
    Block* block = pool.acquire(std::max(bytes.size(), std::min(ahead, most_ahead)));
    if (block == nullptr) return {};
    block->references.store(0, std::memory_order_relaxed);
    BlockPool::charge(*block, charged_);
    last_ = Slice(block, 0, 0);
  }
  const std::size_t at = last_.offset_ + last_.size_;
  if (!bytes.empty()) std::memcpy(last_.block_->bytes() + at, bytes.data(), bytes.size());
  last_ = Slice(last_.block_, at, bytes.size());
  return last_;
}

}  // namespace weir
