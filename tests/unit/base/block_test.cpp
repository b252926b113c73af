#include "base/block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace weir {
namespace {

auto as_bytes(std::string_view text) -> std::span<const std::byte> { return std::as_bytes(std::span(text)); }
auto text_of(const Slice& slice) -> std::string {
  return {reinterpret_cast<const char*>(slice.bytes().data()), slice.size()};
}
// What a read does: room, bytes, commit.
auto read_into(BlockPool& pool, std::string_view bytes, std::size_t room) -> Slice {
  const auto space = pool.space(room);
  EXPECT_EQ(space.size(), room);
  std::memcpy(space.data(), bytes.data(), bytes.size());
  return pool.commit(bytes.size());
}

TEST(Slice, OfNothingIsEmpty) {
  const Slice none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.size(), 0u);
  EXPECT_TRUE(none.bytes().empty());
}

TEST(Slice, SharesItsBytesWithItsCopies) {
  BlockPool pool;
  Slice original = pool.copy(as_bytes("hello"));
  Slice copy = original;
  EXPECT_EQ(copy.bytes().data(), original.bytes().data());
  original = Slice();
  EXPECT_EQ(text_of(copy), "hello");
}

TEST(Slice, LosesOnlyItsOwnPrefix) {
  BlockPool pool;
  const Slice original = pool.copy(as_bytes("hello"));
  Slice rest = original;
  rest.remove_prefix(2);
  EXPECT_EQ(text_of(rest), "llo");
  EXPECT_EQ(text_of(original), "hello");
  rest.remove_prefix(3);
  EXPECT_TRUE(rest.empty());
}

TEST(Slice, IsEmptyAfterAMove) {
  BlockPool pool;
  Slice from = pool.copy(as_bytes("hello"));
  Slice to = std::move(from);
  EXPECT_EQ(text_of(to), "hello");
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): that is the promise
  EXPECT_TRUE(from.bytes().empty());
  Slice& same = to;
  to = same;
  EXPECT_EQ(text_of(to), "hello");
}

TEST(BlockPool, PutsManySmallReadsIntoOneBlock) {
  BlockPool pool;
  std::vector<Slice> held;
  for (int i = 0; i < 100; ++i) held.push_back(read_into(pool, "request " + std::to_string(i), 1024));
  EXPECT_EQ(pool.allocated_bytes(), BlockPool::fill_block_size);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(text_of(held[static_cast<std::size_t>(i)]), "request " + std::to_string(i));
  }
}

TEST(BlockPool, CommitsLessThanTheRoomItGave) {
  BlockPool pool;
  const Slice first = read_into(pool, "abc", 100'000);
  const Slice second = read_into(pool, "def", 100'000);
  EXPECT_EQ(second.bytes().data(), first.bytes().data() + 3) << "room that was not used is given again";
}

TEST(BlockPool, TakesAnotherBlockWhenTheRestIsTooSmall) {
  BlockPool pool;
  const Slice large = read_into(pool, std::string(200'000, 'a'), 200'000);
  const Slice next = read_into(pool, "b", 100'000);
  EXPECT_EQ(pool.allocated_bytes(), 2 * BlockPool::fill_block_size);
  EXPECT_EQ(text_of(large), std::string(200'000, 'a'));
  EXPECT_EQ(text_of(next), "b");
}

TEST(BlockPool, StartsOverInABlockThatNobodyHolds) {
  BlockPool pool;
  for (int i = 0; i < 1000; ++i) {
    const Slice slice = read_into(pool, "bytes", BlockPool::fill_block_size / 2);
    EXPECT_EQ(text_of(slice), "bytes");
  }
  EXPECT_EQ(pool.allocated_bytes(), BlockPool::fill_block_size);
}

TEST(BlockPool, ReusesABlockOnceItsLastSliceIsGone) {
  BlockPool pool;
  Slice a = read_into(pool, "a", BlockPool::fill_block_size);
  (void)pool.copy(as_bytes("spent"));
  const auto* where = a.bytes().data();
  Slice b = read_into(pool, "b", BlockPool::fill_block_size);
  EXPECT_EQ(pool.allocated_bytes(), 2 * BlockPool::fill_block_size + 4096);
  a = Slice();
  const Slice c = read_into(pool, "c", BlockPool::fill_block_size);
  EXPECT_EQ(c.bytes().data(), where);
  EXPECT_EQ(pool.allocated_bytes(), 2 * BlockPool::fill_block_size + 4096);
}

TEST(BlockPool, CopiesIntoTheSmallestBlockThatFits) {
  for (const auto& [size, block] : {std::pair<std::size_t, std::size_t>{1, 4096},
                                    {4096, 4096},
                                    {4097, 16'384},
                                    {16'385, 32'768},
                                    {32'769, 65'536},
                                    {65'537, 131'072},
                                    {131'073, 262'144},
                                    {262'144, 262'144},
                                    {262'145, 262'145},
                                    {1'000'000, 1'000'000}}) {
    BlockPool pool;
    std::string bytes(size, 'x');
    bytes.back() = 'y';
    const Slice slice = pool.copy(as_bytes(bytes));
    EXPECT_EQ(pool.allocated_bytes(), block);
    EXPECT_EQ(text_of(slice), bytes);
  }
}

TEST(BlockPool, KeepsNoBlockLargerThanItsClasses) {
  BlockPool pool;
  (void)pool.copy(as_bytes(std::string(1'000'000, 'x')));
  (void)pool.copy(as_bytes("reclaims what came back"));
  EXPECT_EQ(pool.allocated_bytes(), 4096u);
}

TEST(BlockPool, CachesNoMoreThanItsLimit) {
  BlockPool pool;
  {
    std::vector<Slice> held;
    const std::string large(BlockPool::fill_block_size, 'x');
    for (int i = 0; i < 40; ++i) held.push_back(pool.copy(as_bytes(large)));
    EXPECT_EQ(pool.allocated_bytes(), 40 * BlockPool::fill_block_size);
  }
  while (pool.give_some_back()) {
  }
  const Slice last = pool.copy(as_bytes("reclaims what came back"));
  EXPECT_LE(pool.cached_bytes(), BlockPool::cache_limit);
  EXPECT_GT(pool.cached_bytes(), 0u);
  EXPECT_LE(pool.allocated_bytes(), BlockPool::cache_limit + 4096);
}

// Thousands that are dropped at once would take a tenth of a second to free.
TEST(BlockPool, GivesBackAMegabyteAtATime) {
  BlockPool pool;
  {
    std::vector<Slice> held;
    const std::string large(BlockPool::fill_block_size, 'x');
    for (int i = 0; i < 400; ++i) held.push_back(pool.copy(as_bytes(large)));
  }
  constexpr std::size_t megabyte = 1024 * 1024;
  const std::size_t all = pool.allocated_bytes();
  ASSERT_EQ(all, 100 * megabyte);
  const Slice one = pool.copy(as_bytes("needs a block"));
  EXPECT_GE(pool.allocated_bytes(), all - megabyte);
  std::size_t before = pool.allocated_bytes();
  int calls = 0;
  for (; pool.give_some_back(); ++calls) {
    ASSERT_LE(before - pool.allocated_bytes(), megabyte);
    before = pool.allocated_bytes();
  }
  EXPECT_GE(calls, 90);
  EXPECT_LE(pool.allocated_bytes(), BlockPool::cache_limit + 4096);
}

// Given slices that another thread drops while the loop goes on reading, every byte arrives as it was
// written, and every block comes home.
TEST(BlockPool, TakesBackWhatOtherThreadsDrop) {
  constexpr std::size_t count = 20'000;
  BlockPool pool;
  {
    std::vector<Slice> mailbox(count);
    std::atomic<std::size_t> sent = 0;
    std::size_t wrong = 0;
    std::thread consumer([&] {
      for (std::size_t i = 0; i < count; ++i) {
        while (sent.load(std::memory_order_acquire) <= i) std::this_thread::yield();
        const Slice mine = std::move(mailbox[i]);
        const auto bytes = mine.bytes();
        const auto expected = static_cast<std::byte>(i);
        if (bytes.size() != 1 + i % 3000 ||
            std::any_of(bytes.begin(), bytes.end(), [&](std::byte b) { return b != expected; })) {
          ++wrong;
        }
      }
    });
    for (std::size_t i = 0; i < count; ++i) {
      const std::string bytes(1 + i % 3000, static_cast<char>(i));
      mailbox[i] = i % 2 == 0 ? read_into(pool, bytes, 4096) : pool.copy(as_bytes(bytes));
      sent.store(i + 1, std::memory_order_release);
    }
    consumer.join();
    EXPECT_EQ(wrong, 0u);
  }
  while (pool.give_some_back()) {
  }
  // All that is left is the cache, the block that reads land in, and the one this reclaims with.
  const Slice last = pool.copy(as_bytes("x"));
  EXPECT_LE(pool.allocated_bytes(), BlockPool::cache_limit + BlockPool::fill_block_size + 4096);
}

auto own(BlockPool& pool, std::size_t size, std::atomic<std::uint64_t>* charged) -> Slice {
  const auto space = pool.own_space(size);
  EXPECT_EQ(space.size(), size);
  std::memset(space.data(), 'x', size);
  return pool.commit_own(size, charged);
}

TEST(ChargedBlock, CountsUntilItsLastSliceIsGone) {
  std::atomic<std::uint64_t> charged = 0;
  BlockPool pool;
  Slice slice = own(pool, 60 * 1024, &charged);
  EXPECT_EQ(charged, 64 * 1024 + sizeof(Block));
  Slice rest = slice;
  rest.remove_prefix(60 * 1024 - 1);
  slice = Slice();
  EXPECT_EQ(charged, 64 * 1024 + sizeof(Block)) << "one byte keeps its block";
  std::thread([rest = std::move(rest)]() mutable { rest = Slice(); }).join();
  EXPECT_EQ(charged, 0U);
  slice = pool.copy(as_bytes("hello"));
  EXPECT_EQ(charged, 0U) << "a block that is used again is nobody's";
}

TEST(ChargedBlock, IsSharedWithNoOtherRead) {
  std::atomic<std::uint64_t> charged = 0;
  BlockPool pool;
  const Slice shared = read_into(pool, "shared", 100);
  const Slice first = own(pool, 100, &charged);
  const Slice second = own(pool, 100, &charged);
  EXPECT_EQ(charged, 2 * (4 * 1024 + sizeof(Block)));
  EXPECT_EQ(text_of(shared), "shared");
}

TEST(BlockFill, GathersSmallChunks) {
  std::atomic<std::uint64_t> charged = 0;
  BlockPool pool;
  BlockFill fill(&charged);
  std::vector<Slice> slices;
  for (int i = 0; i < 400; ++i) slices.push_back(fill.copy(pool, as_bytes("ten bytes."), 0));
  EXPECT_EQ(charged, 4 * 1024 + sizeof(Block));
  EXPECT_TRUE(std::ranges::all_of(slices, [](const Slice& slice) { return text_of(slice) == "ten bytes."; }));
  slices.push_back(fill.copy(pool, as_bytes(std::string(200, 'y')), 20'000));
  EXPECT_EQ(charged, 4 * 1024 + 32 * 1024 + 2 * sizeof(Block)) << "a larger one where more is held";
  slices.clear();
  EXPECT_EQ(charged, 32 * 1024 + sizeof(Block)) << "the block that is being filled";
  fill.let_go();
  EXPECT_EQ(charged, 0U);
}

}  // namespace
}  // namespace weir
