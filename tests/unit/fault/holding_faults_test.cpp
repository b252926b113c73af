// Faults that hold bytes and let them go: latency, loss, first_byte_delay, slow_close, stall.
#include "fault/path.h"

namespace weir::fault {
namespace {

using namespace test;

TEST(Latency, LetsAChunkGoSoMuchLaterThanItCame) {
  Path path({"latency latency=100ms"});
  path.comes("one");
  path.passes(milliseconds{30});
  path.comes("two");
  path.passes(milliseconds{99});
  EXPECT_THAT(path.told(), ElementsAre("100ms one"));
  path.passes(milliseconds{1});
  EXPECT_THAT(path.told(), ElementsAre("130ms two"));
  EXPECT_EQ(path.held(), 0u);
}

TEST(Latency, PassesFinOnRightBehindTheLastByte) {
  Path path({"latency latency=100ms"});
  path.comes("last");
  path.passes(milliseconds{10});
  path.ends();
  path.passes(seconds{1});
  EXPECT_THAT(path.told(), ElementsAre("100ms last", "100ms FIN"));
}

TEST(Latency, ThatIsNoneOrNegativePassesAtOnce) {
  for (const auto* text : {"latency", "latency latency=-5ms jitter=-1ms"}) {
    Path path({text});
    path.comes("x");
    path.ends();
    EXPECT_THAT(path.told(), ElementsAre("0ms x", "0ms FIN")) << text;
  }
}

TEST(Latency, KeepsTheOrderWhateverTheJitter) {
  Path path({"latency latency=50ms jitter=50ms"});
  std::string sent;
  for (int i = 0; i < 500; ++i) {
    const std::string text = fmt::format("<{}>", i);
    sent += text;
    path.comes(text);
    path.passes(microseconds{700});
  }
  path.passes(seconds{1});
  EXPECT_EQ(path.out(), sent);
}

// The delays of chunks that come a second apart, so that none waits for another.
auto delays(const std::string& fault, int count) -> std::vector<double> {
  Path path({fault});
  std::vector<double> found;
  for (int i = 0; i < count; ++i) {
    const double came = std::chrono::duration<double, std::milli>(path.age()).count();
    path.comes("x");
    path.passes(seconds{3});
    for (const auto& line : path.told()) {
      const double at = std::stod(line);
      found.push_back((line.find("us") == std::string::npos ? at : at / 1000) - came);
    }
  }
  return found;
}

TEST(Latency, SpreadsUniformJitterAroundIt) {
  const auto found = delays("latency latency=100ms jitter=20ms", 2000);
  ASSERT_EQ(found.size(), 2000u);
  double sum = 0;
  for (const double each : found) {
    EXPECT_GE(each, 80.0);
    EXPECT_LE(each, 120.0);
    sum += each;
  }
  EXPECT_NEAR(sum / 2000, 100.0, 1.1);  // 4 standard errors
  EXPECT_LT(*std::ranges::min_element(found), 81.0);
  EXPECT_GT(*std::ranges::max_element(found), 119.0);
}

TEST(Latency, KnowsTheOtherDistributions) {
  for (const double each : delays("latency latency=100ms distribution=constant", 20)) EXPECT_EQ(each, 100.0);
  double sum = 0, squares = 0;
  for (const double each : delays("latency latency=200ms jitter=20ms distribution=normal", 4000)) {
    sum += each - 200;
    squares += (each - 200) * (each - 200);
  }
  EXPECT_NEAR(sum / 4000, 0.0, 1.3);
  EXPECT_NEAR(std::sqrt(squares / 4000), 20.0, 1.0);
  auto tail = delays("latency latency=10ms jitter=10ms distribution=pareto", 4000);
  std::ranges::sort(tail);
  EXPECT_GE(tail.front(), 10.0);
  EXPECT_NEAR(tail[2000], 12.6, 0.3);
  EXPECT_GT(tail.back(), 60.0);
  EXPECT_LE(tail.back(), 210.0);
}

TEST(Latency, MakesNeighboursAlikeWithCorrelation) {
  const auto resemblance = [](const std::string& fault) {
    const auto found = delays(fault, 1500);
    double product = 0, squares = 0;
    for (std::size_t i = 1; i < found.size(); ++i) {
      product += (found[i] - 100) * (found[i - 1] - 100);
      squares += (found[i] - 100) * (found[i] - 100);
    }
    return product / squares;
  };
  EXPECT_NEAR(resemblance("latency latency=100ms jitter=50ms"), 0.0, 0.1);
  EXPECT_GT(resemblance("latency latency=100ms jitter=50ms correlation=0.9"), 0.8);
}

TEST(Latency, LetsGoSoonerWhenItIsChangedToLess) {
  Path path({"latency latency=10s"});
  path.comes("held");
  path.passes(seconds{1});
  path.has({"latency latency=100ms"});
  EXPECT_THAT(path.told(), ElementsAre("1000ms held"));
  path.comes("next");
  path.passes(seconds{1});
  EXPECT_THAT(path.told(), ElementsAre("1100ms next"));
}

TEST(Latency, DoesNotKeepLongerWhatItHeldBeforeItWasChangedToMore) {
  Path path({"latency latency=100ms"});
  path.comes("held");
  path.has({"latency latency=10s"});
  path.comes("next");
  path.passes(seconds{11});
  EXPECT_THAT(path.told(), ElementsAre("100ms held", "10000ms next"));
}

TEST(Loss, NeverLosesAByteAndOnlyPauses) {
  Path path({"loss rate=0.05"});
  std::string sent;
  for (int i = 0; i < 300; ++i) {
    const std::string chunk(1448, static_cast<char>('a' + i % 26));
    sent += chunk;
    path.comes(chunk);
    path.passes(milliseconds{5});
  }
  path.ends();
  path.passes(seconds{20});
  EXPECT_EQ(path.out(), sent);
  EXPECT_EQ(path.ended(), End::fin);
  EXPECT_GT(path.told().size(), 1u);
}

TEST(Loss, PausesForTheTimeoutAndThenLetsAllGoAtOnce) {
  Path path({"loss rate=1 rto=100ms"});  // every retransmission is lost too: 1 + 2 + ... + 64
  path.comes("x");
  path.passes(milliseconds{50});
  path.comes("y");
  path.passes(seconds{20});
  EXPECT_THAT(path.told(), ElementsAre("12700ms x", "12700ms y"));
}

TEST(Loss, HasAsManyPausesAsTheRateSays) {
  Path path({"loss rate=0.1 rto=10ms"});
  int pauses = 0;
  for (int i = 0; i < 4000; ++i) {
    path.comes(std::string(1448, 'x'));
    pauses += path.held() > 0 ? 1 : 0;
    path.passes(seconds{2});
  }
  EXPECT_NEAR(pauses, 400, 76);  // 4 standard deviations
}

TEST(Loss, LosesABurstTogetherAndMoreRarely) {
  Path path({"loss rate=0.1 burst=4 rto=10ms"});
  int pauses = 0;
  for (int i = 0; i < 4000; ++i) {
    path.comes(std::string(1448, 'x'));
    pauses += path.held() > 0 ? 1 : 0;
    path.passes(seconds{2});
  }
  EXPECT_NEAR(pauses, 93, 38) << "runs of four: the other three of a run are not drawn";
}

TEST(FirstByteDelay, HoldsTheFirstBytesAlone) {
  Path path({"first_byte_delay delay=2s"});
  path.comes("first");
  path.passes(seconds{1});
  path.comes("second");
  path.passes(seconds{2});
  path.comes("third");
  EXPECT_THAT(path.told(), ElementsAre("2000ms first", "2000ms second", "3000ms third"));
}

TEST(SlowClose, HoldsNothingButTheFin) {
  Path path({"slow_close delay=500ms"});
  path.comes("x");
  path.ends();
  path.passes(seconds{1});
  EXPECT_THAT(path.told(), ElementsAre("0ms x", "500ms FIN"));
}

TEST(SlowClose, ThatIsRemovedLetsTheFinGo) {
  Path path({"slow_close delay=1h"});
  path.ends();
  path.passes(seconds{1});
  path.has(std::vector<std::string>{});
  EXPECT_THAT(path.told(), ElementsAre("1000ms FIN"));
}

TEST(Stall, ReadsNothingAndSendsNothingUntilItEnds) {
  Path path({"stall direction=downstream after=1s for=5s"});
  path.comes("before");
  path.passes(seconds{2});
  EXPECT_FALSE(path.takes_more());
  path.comes("in hand");
  path.ends();
  path.passes(seconds{3});
  EXPECT_THAT(path.told(), ElementsAre("0ms before"));
  path.passes(seconds{1});
  EXPECT_THAT(path.told(), ElementsAre("6000ms in hand", "6000ms FIN"));
}

TEST(Stall, TakesMoreAgainWhenItIsOver) {
  Path path({"stall for=1s"});
  EXPECT_FALSE(path.takes_more());
  path.passes(seconds{1});
  EXPECT_TRUE(path.takes_more());
}

}  // namespace
}  // namespace weir::fault
