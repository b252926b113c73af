// Pooled, reference-counted bytes. One read of an observed or faulted direction lands in a block
// once; rings, fault queues and pending bytes all hold slices of it, so nothing is copied twice.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace weir {

class BlockPool;

// A header followed by `capacity` bytes. Never used directly: see Slice.
struct Block {
  std::atomic<std::uint32_t> references{0};
  std::uint32_t capacity = 0;
  BlockPool* pool = nullptr;
  Block* next = nullptr;                          // in a free list or the returned stack
  std::atomic<std::uint64_t>* charged = nullptr;  // counts its size while anybody refers to it; see BlockPool
  [[nodiscard]] auto bytes() -> std::byte* { return reinterpret_cast<std::byte*>(this + 1); }
};

// A reference to a run of bytes in a block; the bytes are immutable once a Slice exists. Copying
// shares, moving is free. May be copied, read and dropped on any thread; the pool must outlive it.
class Slice {
 public:
  Slice() noexcept = default;
  Slice(const Slice& other) noexcept : block_(other.block_), offset_(other.offset_), size_(other.size_) {
    if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Slice(Slice&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)), offset_(other.offset_), size_(std::exchange(other.size_, 0)) {}
  auto operator=(Slice other) noexcept -> Slice& {
    std::swap(block_, other.block_);
    std::swap(offset_, other.offset_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Slice() { drop(); }

  [[nodiscard]] auto bytes() const noexcept -> std::span<const std::byte> {
    return block_ == nullptr ? std::span<const std::byte>{}
                             : std::span<const std::byte>{block_->bytes() + offset_, size_};
  }
  [[nodiscard]] auto size() const noexcept -> std::size_t { return size_; }
  [[nodiscard]] auto empty() const noexcept -> bool { return size_ == 0; }
  // The first n bytes, shared; n <= size().
  [[nodiscard]] auto prefix(std::size_t n) const noexcept -> Slice {
    Slice first = *this;
    first.size_ = static_cast<std::uint32_t>(n);
    return first;
  }
  // What remains after the first n bytes; n <= size().
  void remove_prefix(std::size_t n) noexcept {
    offset_ += static_cast<std::uint32_t>(n);
    size_ -= static_cast<std::uint32_t>(n);
  }
  // Adds the bytes of `next` if they lie right behind these in the same block. False: nothing changed.
  [[nodiscard]] auto join(const Slice& next) noexcept -> bool {
    if (block_ == nullptr || block_ != next.block_ || offset_ + size_ != next.offset_) return false;
    size_ += next.size_;
    return true;
  }

 private:
  friend class BlockPool;
  friend class BlockFill;
  Slice(Block* block, std::size_t offset, std::size_t size) noexcept
      : block_(block), offset_(static_cast<std::uint32_t>(offset)), size_(static_cast<std::uint32_t>(size)) {
    block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  void drop() noexcept;

  Block* block_ = nullptr;
  std::uint32_t offset_ = 0;
  std::uint32_t size_ = 0;
};

// Hands out blocks. One per event loop: every call is made on the loop's thread, only dropping the
// last slice of a block may happen elsewhere. Destroy it after the last slice is gone.
//
// A block may be charged to a counter, which then counts all of its memory until its last slice is gone, whoever
// holds that: one byte that is kept keeps a whole block. The counter outlives the block's slices.
class BlockPool {
 public:
  // Blocks that reads land in; two reads of 128 KiB or hundreds of small ones share one.
  static constexpr std::size_t fill_block_size = 256 * 1024;
  // Free blocks kept for reuse; more are given back to the allocator.
  static constexpr std::size_t cache_limit = 4 * 1024 * 1024;

  BlockPool() = default;
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  auto operator=(const BlockPool&) -> BlockPool& = delete;

  // Room for one read of at most `size` bytes (<= fill_block_size), valid until the next call on
  // this pool. Empty if memory is exhausted.
  [[nodiscard]] auto space(std::size_t size) -> std::span<std::byte>;
  // The first n bytes of the last space() were written: they become a slice.
  [[nodiscard]] auto commit(std::size_t n) -> Slice;
  // The same in a block that no other read shares, for bytes that may wait for long.
  [[nodiscard]] auto own_space(std::size_t size) -> std::span<std::byte>;
  // The first n bytes of the last own_space() were written: they and their block become a slice.
  [[nodiscard]] auto commit_own(std::size_t n, std::atomic<std::uint64_t>* charged) -> Slice;
  // A private copy, in the smallest block that fits: for bytes that will wait. Any size below 4 GiB;
  // empty if memory is exhausted.
  [[nodiscard]] auto copy(std::span<const std::byte> bytes, std::atomic<std::uint64_t>* charged = nullptr) -> Slice;

  // Gives some of what was dropped back to the allocator, if it is more than is kept for reuse: a megabyte, as
  // thousands of blocks take long. True: there is more. Each call that needs a block does the same.
  [[nodiscard]] auto give_some_back() -> bool;

  // Bytes of all blocks in use, those dropped and not given back, and those still referenced elsewhere included; for
  // tests and limits.
  [[nodiscard]] auto allocated_bytes() const -> std::size_t { return allocated_; }
  [[nodiscard]] auto cached_bytes() const -> std::size_t { return cached_; }

 private:
  friend class Slice;
  friend class BlockFill;
  static constexpr std::size_t class_count = 6;
  static auto class_for(std::size_t size) -> std::size_t;
  auto acquire(std::size_t size) -> Block*;
  void recycle(Block* block);  // owner thread
  static void charge(Block& block, std::atomic<std::uint64_t>* charged);
  void give_back(Block* block) noexcept;  // any thread

  Block* free_[class_count] = {};
  Block* fill_ = nullptr;  // the pool itself holds one reference
  std::size_t fill_used_ = 0;
  Block* own_ = nullptr;   // of own_space(); nobody refers to it
  Block* back_ = nullptr;  // taken off returned_ and not looked at yet
  std::size_t allocated_ = 0;
  std::size_t cached_ = 0;
  std::atomic<Block*> returned_{nullptr};
};

// Gathers small chunks of one owner in blocks that are charged to it, so that each keeps little more memory than its
// own. On the loop's thread; the slices go anywhere.
class BlockFill {
 public:
  explicit BlockFill(std::atomic<std::uint64_t>* charged) : charged_(charged) {}
  BlockFill(const BlockFill&) = delete;
  auto operator=(const BlockFill&) -> BlockFill& = delete;

  // A copy. A new block, where one is needed, has room for `ahead` bytes, or for 64 KiB if that is less; empty if
  // memory is exhausted.
  [[nodiscard]] auto copy(BlockPool& pool, std::span<const std::byte> bytes, std::size_t ahead) -> Slice;
  // Keeps no block that nobody else keeps.
  void let_go() { last_ = Slice(); }

 private:
  std::atomic<std::uint64_t>* charged_;
  Slice last_;  // what was copied last: the next goes behind it
};

inline void Slice::drop() noexcept {
  if (block_ != nullptr && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    block_->pool->give_back(block_);
  }
  block_ = nullptr;
}

}  // namespace weir
