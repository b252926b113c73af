#include "base/seeded_random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace weir {
namespace {

using Block = std::array<std::uint32_t, 4>;

// The known answers published with the generator (Random123, kat_vectors: philox 4x32 10).
TEST(SeededRandom, IsThePublishedGenerator) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(SeededRandom, AnswersTheSameQuestionTheSame) {
  const Draws draws(RandomKey(7).with("web").with(3).value());
  const double first = draws.uniform(1000);
  for (std::uint64_t i = 0; i < 100; ++i) (void)draws.uniform(i);
  EXPECT_EQ(draws.uniform(1000), first);
  EXPECT_EQ(Draws(RandomKey(7).with("web").with(3).value()).uniform(1000), first);
}

TEST(SeededRandom, HasAnotherAnswerForEveryPartOfTheQuestion) {
  std::set<std::uint64_t> answers;
  answers.insert(Draws(RandomKey(7).with("web").with(3).value()).bits(5));
  answers.insert(Draws(RandomKey(8).with("web").with(3).value()).bits(5));
  answers.insert(Draws(RandomKey(7).with("wec").with(3).value()).bits(5));
  answers.insert(Draws(RandomKey(7).with("web").with(4).value()).bits(5));
  answers.insert(Draws(RandomKey(7).with(3).with("web").value()).bits(5));
  answers.insert(Draws(RandomKey(7).with("web").with(3).value()).bits(6));
  answers.insert(Draws(RandomKey(7).with("web").with(3).value()).bits(5, 1));
  EXPECT_EQ(answers.size(), 7u);
  EXPECT_NE(RandomKey(7).with("ab").with("c").value(), RandomKey(7).with("a").with("bc").value());
}

TEST(SeededRandom, IsUniform) {
  const Draws draws(42);
  constexpr int count = 100'000;
  std::array<int, 10> buckets{};
  double sum = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double u = draws.uniform(i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    ++buckets[static_cast<std::size_t>(u * 10)];
  }
  EXPECT_NEAR(sum / count, 0.5, 0.005);
  for (const int bucket : buckets) EXPECT_NEAR(bucket, count / 10, 400);  // 4 standard deviations
}

TEST(SeededRandom, KeepsIntegersInTheirRangeAndReachesItsEnds) {
  const Draws draws(42);
  std::set<std::int64_t> seen;
  for (std::uint64_t i = 0; i < 1000; ++i) seen.insert(draws.integer(i, -2, 3));
  EXPECT_EQ(seen, (std::set<std::int64_t>{-2, -1, 0, 1, 2, 3}));
  EXPECT_EQ(draws.integer(1, 5, 5), 5);
  (void)draws.integer(1, INT64_MIN, INT64_MAX);
}

TEST(SeededRandom, KnowsTheNormalDistribution) {
  EXPECT_NEAR(normal_quantile(0.5), 0.0, 1e-9);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-8);
  EXPECT_NEAR(normal_quantile(0.001), -3.090232306167813, 1e-8);
  EXPECT_TRUE(std::isfinite(normal_quantile(0.0)));
  for (const double z : {-4.0, -1.5, 0.0, 0.3, 2.7}) EXPECT_NEAR(normal_quantile(normal_below(z)), z, 1e-7);
}

}  // namespace
}  // namespace weir
