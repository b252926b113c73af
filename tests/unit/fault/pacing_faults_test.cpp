// Faults that pace: bandwidth and slicer.
#include "fault/path.h"

namespace weir::fault {
namespace {

using namespace test;

auto bytes_in(Path& path, Nanos time) -> std::size_t {
  const std::size_t before = path.out().size();
  path.passes(time);
  return path.out().size() - before;
}

TEST(Bandwidth, PassesItsRateInEveryWindow) {
  for (const auto& [rate, per_second] : {std::pair{"10KB/s", 10'000.0}, {"100KB/s", 100'000.0}, {"7MB/s", 7e6}}) {
    Path path({fmt::format("bandwidth rate={}", rate)});
    path.comes(std::string(static_cast<std::size_t>(per_second * 4), 'x'));
    for (int window = 0; window < 6; ++window) {
      EXPECT_NEAR(static_cast<double>(bytes_in(path, milliseconds{500})), per_second / 2, per_second / 2 * 0.021)
          << rate;
    }
  }
}

TEST(Bandwidth, CutsIntoPiecesOfTenMilliseconds) {
  Path path({"bandwidth rate=100KB/s"});
  path.comes(std::string(100'000, 'x'));
  path.passes(seconds{2});
  std::uint64_t last = 0;
  for (const std::uint64_t cut : path.cuts()) {
    EXPECT_LE(cut - last, 1000u);
    last = cut;
  }
  EXPECT_EQ(last, 100'000u);
}

TEST(Bandwidth, GivesNoCreditForAPauseOfTheSource) {
  Path path({"bandwidth rate=100KB/s"});
  path.passes(seconds{10});
  path.comes(std::string(200'000, 'x'));
  EXPECT_LE(bytes_in(path, seconds{1}), 101'000u);
}

TEST(Bandwidth, GivesNoCreditWhileTheSinkIsBlocked) {
  Path path({"bandwidth rate=100KB/s"});
  path.comes(std::string(500'000, 'x'));
  (void)bytes_in(path, milliseconds{100});
  path.sink_blocks();
  EXPECT_LE(bytes_in(path, seconds{3}), 1000u) << "the piece in hand at most";
  const std::size_t before = path.out().size();
  path.sink_has_room();  // what it would make up for comes here
  path.passes(seconds{1});
  EXPECT_NEAR(static_cast<double>(path.out().size() - before), 100'000, 2'000);
}

TEST(Bandwidth, OfZeroPassesNothingUntilItIsChanged) {
  Path path({"bandwidth"});
  path.comes("waits");
  path.passes(seconds{100});
  EXPECT_EQ(path.out(), "");
  path.has({"bandwidth rate=1MB/s"});
  path.passes(milliseconds{1});
  EXPECT_EQ(path.out(), "waits");
}

TEST(Bandwidth, TakesNoMoreThanALinkHolds) {
  Path path({"bandwidth rate=10KB/s"});
  EXPECT_TRUE(path.takes_more());
  path.comes(std::string(70'000, 'x'));
  EXPECT_FALSE(path.takes_more());
  path.passes(seconds{1});
  EXPECT_TRUE(path.takes_more());
}

TEST(Bandwidth, IsSharedByTheSessionsOfItsScope) {
  const auto proxy = std::make_shared<ProxyFaults>(7, "web");
  Path first({"bandwidth rate=100KB/s scope=proxy"}, {.session = 1}, proxy);
  Path second({"bandwidth rate=100KB/s scope=proxy"}, {.session = 2}, proxy);
  first.comes(std::string(300'000, 'x'));
  second.comes(std::string(300'000, 'x'));
  for (int i = 0; i < 100; ++i) first.passes(milliseconds{10}), second.passes(milliseconds{10});
  EXPECT_NEAR(static_cast<double>(first.out().size() + second.out().size()), 100'000, 3'000);
  EXPECT_NEAR(static_cast<double>(first.out().size()), 50'000, 3'000) << "and fairly";
}

TEST(Bandwidth, ActsAtOnceWhenItIsRaised) {
  Path path({"bandwidth rate=1B/s"});
  path.comes(std::string(10'000, 'x'));
  path.passes(milliseconds{100});
  path.has({"bandwidth rate=1MB/s"});
  path.passes(milliseconds{11});
  EXPECT_EQ(path.out().size(), 10'000u);
}

TEST(Bandwidth, LosesNothingWhenItIsRemoved) {
  Path path({"bandwidth rate=1KB/s"});
  path.comes("abcdef");
  path.ends();
  path.has(std::vector<std::string>{});
  EXPECT_EQ(path.out(), "abcdef");
  EXPECT_EQ(path.ended(), End::fin);
}

TEST(Slicer, CutsWithinItsBounds) {
  Path path({"slicer average_size=64 size_variation=16"});
  path.comes(std::string(64'000, 'x'));
  std::uint64_t last = 0;
  for (std::size_t i = 0; i + 1 < path.cuts().size(); ++i) {
    EXPECT_GE(path.cuts()[i] - last, 48u);
    EXPECT_LE(path.cuts()[i] - last, 80u);
    last = path.cuts()[i];
  }
  EXPECT_NEAR(static_cast<double>(path.cuts().size()), 1000, 30);
}

TEST(Slicer, CutsAtTheSameOffsetsWhateverTheChunks) {
  Path whole({"slicer average_size=64 size_variation=16"});
  whole.comes(std::string(10'000, 'x'));
  for (const std::size_t chunk : {50u, 777u}) {
    Path path({"slicer average_size=64 size_variation=16"});
    for (std::size_t at = 0; at < 10'000; at += chunk) path.comes(std::string(std::min(chunk, 10'000 - at), 'x'));
    for (const std::uint64_t cut : whole.cuts()) {
      EXPECT_TRUE(std::ranges::binary_search(path.cuts(), cut)) << cut << " in chunks of " << chunk;
    }
  }
}

TEST(Slicer, PausesAfterEachSlice) {
  Path path({"slicer average_size=2 delay=10ms"});
  path.comes("abcde");
  path.ends();
  path.passes(seconds{1});
  EXPECT_THAT(path.told(), ElementsAre("0ms ab", "10ms cd", "20ms e", "30ms FIN"));
}

TEST(Slicer, OfAverageZeroPassesEverything) {
  Path path({"slicer delay=0"});
  path.comes("abc");
  EXPECT_THAT(path.told(), ElementsAre("0ms abc"));
}

TEST(Slicer, MayVaryByAllOfItsAverage) {
  Path path({"slicer average_size=4 size_variation=4"});
  path.comes(std::string(1000, 'x'));
  std::uint64_t last = 0;
  for (const std::uint64_t cut : path.cuts()) {
    EXPECT_GE(cut - last, 1u);
    EXPECT_LE(cut - last, 8u);
    last = cut;
  }
  EXPECT_EQ(path.out().size(), 1000u);
}

}  // namespace
}  // namespace weir::fault
