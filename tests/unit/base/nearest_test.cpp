#include "base/nearest.h"

#include <gtest/gtest.h>

#include <string>

namespace weir {
namespace {

TEST(Nearest, AWordWithALetterWrongMissingOrTooManyIsFound) {
  for (const char* word : {"lisen", "listem", "listten", "litsen"}) {
    EXPECT_EQ(nearest(word, {"name", "listen", "upstream"}), "listen") << word;
  }
}

TEST(Nearest, SwappedLettersAreOneMistake) {
  EXPECT_EQ(nearest("idel", {"drain", "idle"}), "idle");
  EXPECT_EQ(nearest("tpa", {"tap", "demo"}), "tap");
  EXPECT_EQ(nearest("ab", {"ba"}), std::nullopt) << "half of it is wrong";
}

TEST(Nearest, OfSeveralTheClosest) { EXPECT_EQ(nearest("--shwo", {"--show-all", "--show", "--slow"}), "--show"); }

TEST(Nearest, AWordOfWhichHalfIsWrongIsLikeNothing) {
  EXPECT_EQ(nearest("zzzzzzzz", {"name", "listen"}), std::nullopt);
  EXPECT_EQ(nearest("db", {"tap"}), std::nullopt);
  EXPECT_EQ(nearest("", {"a"}), std::nullopt);
  EXPECT_EQ(nearest("name", {}), std::nullopt);
}

TEST(Nearest, ALongWordMayBeFurtherOff) {
  EXPECT_EQ(nearest("first_bite_delays", {"first_byte_delay"}), "first_byte_delay");
}

TEST(Nearest, AWordFromAnEnemyIsNotCompared) { EXPECT_EQ(nearest(std::string(100'000, 'a'), {"name"}), std::nullopt); }

}  // namespace
}  // namespace weir
