#include "base/fifo.h"

#include <gtest/gtest.h>

#include <memory>

namespace weir {
namespace {

TEST(Fifo, GivesBackInOrderWhatWentIn) {
  Fifo<std::unique_ptr<int>> fifo;
  int in = 0;
  int out = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < round % 7; ++i) fifo.push_back(std::make_unique<int>(in++));
    for (int i = 0; i < round % 5 && !fifo.empty(); ++i) {
      EXPECT_EQ(*fifo.front(), out++);
      fifo.pop_front();
    }
    EXPECT_EQ(fifo.size(), static_cast<std::size_t>(in - out));
  }
  for (const auto& left : fifo) EXPECT_EQ(*left, out++);
  EXPECT_EQ(out, in);
}

TEST(Fifo, LetsGoOfWhatIsTakenAtOnce) {
  const auto owned = std::make_shared<int>(1);
  Fifo<std::shared_ptr<int>> fifo;
  fifo.push_back(owned);
  fifo.push_back(owned);
  fifo.pop_front();
  EXPECT_EQ(owned.use_count(), 2);
}

TEST(Fifo, OwnsNothingOnceEmptied) {
  Fifo<int> fifo;
  for (int i = 0; i < 3; ++i) fifo.push_back(i);
  EXPECT_EQ(fifo.size(), 3u);
  while (!fifo.empty()) fifo.pop_front();
  EXPECT_EQ(fifo.begin(), nullptr);
  EXPECT_EQ(fifo.begin(), fifo.end());
  fifo.push_back(7);
  EXPECT_EQ(fifo.front(), 7);
}

TEST(Fifo, IsAPointer) { EXPECT_EQ(sizeof(Fifo<int>), sizeof(void*)); }

TEST(Fifo, DoesNotGrowWhileItStaysShort) {
  Fifo<int> fifo;
  fifo.push_back(0);
  const int* first = fifo.begin();
  for (int i = 1; i < 1000; ++i) {
    fifo.push_back(i);
    fifo.pop_front();
    EXPECT_EQ(fifo.front(), i);
  }
  EXPECT_LT(fifo.begin() - first, 1000);
}

}  // namespace
}  // namespace weir
