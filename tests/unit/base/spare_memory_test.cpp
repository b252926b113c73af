#include "base/spare_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace weir {
namespace {

class Spare : public testing::Test {
 protected:
  alignas(16) std::array<std::byte, 4096> place_{};
  SpareMemory spare_{place_};
};

TEST_F(Spare, GivesPiecesThatDoNotOverlap) {
  std::vector<std::byte*> pieces;
  while (auto* piece = static_cast<std::byte*>(spare_.take(100))) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece) % 16, 0u);
    EXPECT_TRUE(spare_.owns(piece));
    std::memset(piece, static_cast<int>(pieces.size()), 100);
    pieces.push_back(piece);
  }
  EXPECT_GT(pieces.size(), 25u);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_TRUE(std::all_of(pieces[i], pieces[i] + 100, [i](std::byte b) { return b == static_cast<std::byte>(i); }));
  }
}

TEST_F(Spare, WhatIsGivenBackInAnyOrderIsOnePieceAgain) {
  std::vector<void*> pieces;
  while (void* piece = spare_.take(200)) pieces.push_back(piece);
  for (std::size_t i = 0; i < pieces.size(); i += 2) spare_.give_back(pieces[i]);
  EXPECT_EQ(spare_.take(1000), nullptr) << "what is free lies apart";
  for (std::size_t i = 1; i < pieces.size(); i += 2) spare_.give_back(pieces[i]);
  EXPECT_EQ(spare_.used(), 0u);
  EXPECT_NE(spare_.take(4000), nullptr);
}

TEST_F(Spare, RefusesWhatDoesNotFitAndBulk) {
  EXPECT_EQ(spare_.take(4096), nullptr) << "there is a header too";
  EXPECT_EQ(spare_.take(SpareMemory::largest + 1), nullptr);
  EXPECT_NE(spare_.take(0), nullptr);
}

TEST_F(Spare, KnowsWhatIsItsOwn) {
  int elsewhere = 0;
  EXPECT_FALSE(spare_.owns(&elsewhere));
  EXPECT_FALSE(spare_.owns(nullptr));
  EXPECT_FALSE(spare_.owns(place_.data() + place_.size()));
}

}  // namespace
}  // namespace weir
