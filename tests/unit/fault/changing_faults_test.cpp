// Faults that change bytes or leave some out: corrupt, packet_loss, noop.
#include "fault/path.h"

namespace weir::fault {
namespace {

using namespace test;

// In chunks of so many bytes.
auto through(const std::string& fault, const std::string& stream, std::size_t chunk, const PathOptions& options = {})
    -> std::string {
  Path path({fault}, options);
  for (std::size_t at = 0; at < stream.size(); at += chunk) path.comes(std::string_view(stream).substr(at, chunk));
  path.ends();
  return path.out();
}

auto bits_that_differ(const std::string& a, const std::string& b) -> std::vector<std::size_t> {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      if (((a[i] ^ b[i]) >> bit & 1) != 0) found.push_back(8 * i + bit);
    }
  }
  return found;
}

TEST(Corrupt, FlipsOneBitAtAnOffset) {
  const std::string stream = "0123456789";
  for (const std::size_t chunk : {1u, 4u, 10u}) {
    const auto changed = through("corrupt at=5", stream, chunk);
    const auto bits = bits_that_differ(stream, changed);
    ASSERT_EQ(bits.size(), 1u);
    EXPECT_EQ(bits[0] / 8, 5u);
  }
}

TEST(Corrupt, FlipsTheSameBitsWhateverTheChunks) {
  const std::string stream(20'000, 'x');
  const auto whole = through("corrupt rate=0.01", stream, stream.size());
  for (const std::size_t chunk : {1u, 7u, 1448u}) EXPECT_EQ(through("corrupt rate=0.01", stream, chunk), whole);
  EXPECT_NE(through("corrupt rate=0.01", stream, 1448, {.seed = 8}), whole);
  EXPECT_NE(through("corrupt rate=0.01", stream, 1448, {.session = 2}), whole);
  EXPECT_NEAR(static_cast<double>(bits_that_differ(stream, whole).size()), 200, 57);  // 4 standard deviations
}

TEST(Corrupt, WithRateOneFlipsABitOfEveryByte) {
  const std::string stream(100, 'x');
  EXPECT_EQ(bits_that_differ(stream, through("corrupt rate=1", stream, 9)).size(), 100u);
}

TEST(Corrupt, WritesOverBytesAndKeepsTheLength) {
  for (const std::size_t chunk : {1u, 2u, 3u, 8u}) {
    EXPECT_EQ(through("corrupt mode=replace at=2 with=585959", "abcdefgh", chunk), "abXYYfgh");
    EXPECT_EQ(through("corrupt mode=replace at=7 with=585959", "abcdefgh", chunk), "abcdefgX");
  }
}

TEST(Corrupt, ActsRightBehindAPatternAlsoOneThatComesInPieces) {
  for (const std::size_t chunk : {1u, 2u, 3u, 5u, 20u}) {
    EXPECT_EQ(through("corrupt mode=replace pattern=6161 with=58", "aab aaab aa", chunk), "aaX aaXX aa") << chunk;
    EXPECT_EQ(through("corrupt mode=truncate pattern=6262", "abbcd", chunk), "abb") << chunk;
  }
}

TEST(Corrupt, TruncatesWithAFinAndTakesNoMore) {
  Path path({"corrupt mode=truncate at=3"});
  path.comes("abcdef");
  EXPECT_THAT(path.told(), ElementsAre("0ms abc", "0ms FIN"));
  EXPECT_FALSE(path.takes_more());
  EXPECT_EQ(path.held(), 0u);
}

TEST(PacketLoss, DropsChunksByTheOffsetTheyBeginAt) {
  Path path({"packet_loss loss_rate=0.3"});
  std::size_t arrived = 0;
  for (int i = 0; i < 2000; ++i) path.comes("abc");
  arrived = path.out().size() / 3;
  EXPECT_EQ(path.out().size() % 3, 0u) << "whole chunks";
  EXPECT_NEAR(static_cast<double>(arrived), 1400, 82);  // 4 standard deviations
  EXPECT_EQ(path.held(), 0u);
  Path again({"packet_loss loss_rate=0.3"});
  for (int i = 0; i < 2000; ++i) again.comes("abc");
  EXPECT_EQ(again.out(), path.out());
}

TEST(PacketLoss, OfNoneOrAllIsThat) {
  EXPECT_EQ(through("packet_loss loss_rate=0", "abcdef", 2), "abcdef");
  EXPECT_EQ(through("packet_loss loss_rate=1", "abcdef", 2), "");
}

TEST(Noop, PassesEverythingAsItCame) {
  Path path({"noop"});
  path.comes("a");
  path.comes("bc");
  path.ends();
  EXPECT_THAT(path.told(), ElementsAre("0ms a", "0ms bc", "0ms FIN"));
}

}  // namespace
}  // namespace weir::fault
