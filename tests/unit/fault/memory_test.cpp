// What faults hold counts as the memory that it takes: payload in whole blocks until it is sent, and queues.
#include <gtest/gtest.h>

#include "fault/catalog.h"
#include "fault/path.h"

namespace weir::fault::test {
namespace {

constexpr std::size_t KiB = 1024;

// A direction whose sink takes nothing until the test says so, and whose bytes come as the pump brings them.
class Held final {
 public:
  explicit Held(const std::string& fault) : session_(proxy_) {
    const auto change = session_.choose(list_of({fault}), {SessionNumber{1}, client_, began_});
    chain_ = std::make_unique<Chain>(ChainPlace{.direction = Direction::downstream,
                                                .blocks = blocks_,
                                                .accepted = began_,
                                                .budget = &budget,
                                                .framings = &session_.framings()});
    chain_->set({began_}, session_.in(Direction::downstream), change.changed);
  }
  Held(const Held&) = delete;
  auto operator=(const Held&) -> Held& = delete;

  void comes(std::size_t bytes, std::size_t room = 64 * KiB) {
    const auto into = chain_->room(room);
    ASSERT_GE(into.size(), bytes);
    std::ranges::fill(into.first(bytes), std::byte{'x'});
    chain_->on_chunk({began_}, chain_->keep(bytes));
  }
  void passes(Nanos time) { chain_->on_alarm({began_ += time}); }
  [[nodiscard]] auto chain() -> Chain& { return *chain_; }
  void goes() { chain_.reset(); }

  ByteBudget budget{MiB};
  static constexpr std::uint64_t MiB = 1024 * KiB;

 private:
  BlockPool blocks_;
  ProxyFaults proxy_{7, "web"};
  Address client_ = Address::parse_ip("192.0.2.7", 4000).value();
  MonoTime began_{seconds{1000}};
  SessionFaults session_;
  std::unique_ptr<Chain> chain_;
};

TEST(HeldMemory, OfSmallChunksIsLittleMoreThanTheirOwn) {
  Held held("latency latency=1h");
  for (int i = 0; i < 1000; ++i) held.comes(1);
  EXPECT_GE(held.budget.held(), 1000 * sizeof(Chunk));
  EXPECT_LE(held.budget.held(), 256 * KiB) << "none of them keeps the 64 KiB that it was read into";
  held.goes();
  EXPECT_EQ(held.budget.held(), 0U);
}

TEST(HeldMemory, OfLargeChunksIsTheirBlocks) {
  Held held("latency latency=1h");
  for (int i = 0; i < 10; ++i) held.comes(64 * KiB);
  EXPECT_GE(held.budget.held(), 640 * KiB);
  EXPECT_LE(held.budget.held(), 660 * KiB);
}

TEST(HeldMemory, OfLargeReadsIsNoMoreThanTheirs) {
  Held held("latency latency=1h");
  for (int i = 0; i < 4; ++i) held.comes(128 * KiB, 128 * KiB);
  EXPECT_LE(held.budget.held(), 530 * KiB);
}

TEST(HeldMemory, IsNotThatOfABlockThatALargerReadLeft) {
  Held held("latency latency=1h");
  held.comes(1, 128 * KiB);
  held.comes(16 * KiB, 16 * KiB);
  EXPECT_LE(held.budget.held(), 24 * KiB);
}

TEST(HeldMemory, CountsUntilTheSinkHasTakenTheBytes) {
  Held held("latency latency=1s");
  held.comes(64 * KiB);
  held.comes(64 * KiB);
  held.passes(seconds{2});
  EXPECT_EQ(held.chain().held(), 0U) << "the fault holds it no more";
  EXPECT_GE(held.budget.held(), 128 * KiB);
  Slice being_sent = held.chain().take_released();
  EXPECT_GE(held.budget.held(), 128 * KiB);
  being_sent = held.chain().take_released();
  EXPECT_GE(held.budget.held(), 64 * KiB);
  EXPECT_LE(held.budget.held(), 80 * KiB);
  being_sent = Slice();
  EXPECT_LE(held.budget.held(), KiB);
}

TEST(HeldMemory, KeepsNoBlockWhenAllIsSent) {
  Held held("latency latency=1s");
  held.comes(10);
  held.passes(seconds{2});
  EXPECT_EQ(held.chain().take_released().size(), 10U);
  EXPECT_EQ(held.budget.held(), 0U);
}

TEST(HeldMemory, CountsCopiesThatAFaultMakes) {
  Held held("corrupt at=0");
  held.comes(64 * KiB);
  EXPECT_GE(held.budget.held(), 64 * KiB);
  EXPECT_LE(held.budget.held(), 80 * KiB) << "the original is gone";
}

TEST(HeldMemory, OfSlicesIsBounded) {
  Held held("slicer average_size=1");
  held.comes(64 * KiB);
  EXPECT_LE(held.budget.held(), 100 * KiB) << "they are cut as they are sent";
  std::size_t sent = 0;
  for (int turns = 0; sent < 64 * KiB && turns < 1000; ++turns) {
    while (held.chain().has_released()) sent += held.chain().take_released().size();
    held.passes(Nanos{0});
  }
  EXPECT_EQ(sent, 64 * KiB);
}

TEST(HeldMemory, MakesReadsSmallWhenItIsUsedUp) {
  Held full("latency latency=1h");
  for (int i = 0; i < 16; ++i) full.comes(64 * KiB);
  EXPECT_TRUE(full.budget.is_full());
  EXPECT_TRUE(full.chain().is_full());
  EXPECT_EQ(full.chain().room(64 * KiB).size(), Chain::read_when_full);
}

// A new fault that forgets to tell its queue fails here.
TEST(HeldMemory, IsToldByEveryStageThatHolds) {
  std::size_t holding = 0;
  for (const FaultInfo* info : catalog()) {
    if (info->phase != FaultPhase::stream) continue;
    std::string fault(info->type);
    for (const char* word : {"latency=1h", "rate=1B/s", "delay=1h", "timeout=1h", "average_size=1"}) {
      const std::string name = std::string(word).substr(0, std::string(word).find('='));
      const bool has = std::ranges::any_of(info->attributes, [&](const auto& each) { return each.name == name; });
      if (has && info->type != "corrupt" && info->type != "loss") fault += " " + std::string(word);
    }
    if (info->type == "corrupt") fault += " at=0";
    if (info->type == "loss") fault += " rate=1";
    Held held(fault);
    for (int i = 0; i < 500 && !held.chain().end(); ++i) held.comes(1);
    if (held.chain().held() < 400) continue;
    ++holding;
    EXPECT_GE(held.budget.held(), held.chain().held() * sizeof(Chunk)) << fault;
  }
  EXPECT_GE(holding, 4U) << "the attributes above make at least these hold: latency, bandwidth, slicer, stall";
}

}  // namespace
}  // namespace weir::fault::test
