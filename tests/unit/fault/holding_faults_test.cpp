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

constexpr std::size_t segment = 1448;

// A segment of a letter, a part of one, or several: "a", "b", ...
auto letters(std::string_view which, std::size_t last = segment) -> std::string {
  std::string text;
  for (std::size_t i = 0; i < which.size(); ++i) text.append(i + 1 < which.size() ? segment : last, which[i]);
  return text;
}
// The times at which each letter's last byte came out: "220ms ab".
auto arrivals(Path& path) -> std::vector<std::string> {
  std::vector<std::string> found;
  for (std::string line : path.told()) {
    line.erase(std::unique(line.begin() + static_cast<std::ptrdiff_t>(line.find(' ')), line.end()), line.end());
    found.push_back(line);
  }
  return found;
}
// The first session in which just these of the first segments are lost ('x' in "..x."), and no retransmission is.
auto session_that_loses(const std::string& fault, std::string_view wanted) -> std::uint64_t {
  for (std::uint64_t session = 1; session < 100'000; ++session) {
    Path path({fault}, {.session = session});
    bool same = true;
    for (const char lot : wanted) {
      path.comes(std::string(segment, ' '));
      same = same && (path.held() > 0) == (lot == 'x');
      path.passes(milliseconds{221});
      same = same && path.held() == 0;
      path.passes(std::chrono::minutes{5});
    }
    if (same) return session;
  }
  ADD_FAILURE() << "no session loses " << wanted;
  return 0;
}

constexpr auto some_loss = "loss rate=0.3";
constexpr auto rare_loss = "loss rate=0.05";

TEST(Loss, OfALoneSegmentIsFeltForTheTimeoutAndARoundTrip) {
  Path path({some_loss}, {.session = session_that_loses(some_loss, "x.")});
  path.comes("a");
  path.passes(seconds{1});
  EXPECT_THAT(path.told(), ElementsAre("220ms a"));
}

TEST(Loss, InTheMiddleIsFeltForOneRoundTrip) {
  Path path({rare_loss}, {.session = session_that_loses(rare_loss, "..x..")});
  path.comes(letters("abcde"));
  path.passes(seconds{1});
  EXPECT_THAT(arrivals(path), ElementsAre("0ms ab", "20ms c", "20ms de"));
}

TEST(Loss, OfSeveralInTheMiddleIsFeltAsLongAsThatOfOne) {
  Path path({some_loss}, {.session = session_that_loses(some_loss, ".xx.")});
  path.comes(letters("abcd"));
  path.passes(seconds{1});
  EXPECT_THAT(arrivals(path), ElementsAre("0ms a", "20ms bc", "20ms d"));
}

TEST(Loss, OfTheLastOfSeveralIsFeltForTheTimeoutAndTwoRoundTrips) {
  Path path({rare_loss}, {.session = session_that_loses(rare_loss, "....x")});
  path.comes(letters("abcde", 100));
  path.passes(seconds{1});
  EXPECT_THAT(arrivals(path), ElementsAre("0ms abcd", "240ms e"));
}

TEST(Loss, OfWhatFollowsWithinARoundTripIsThatOfATail) {
  for (const auto& [pause, when] : {std::pair{19, "259ms b"}, std::pair{20, "240ms b"}}) {
    Path path({rare_loss}, {.session = session_that_loses(rare_loss, ".x")});
    path.comes(letters("a"));
    path.passes(milliseconds{pause});
    path.comes("b");
    path.passes(seconds{1});
    EXPECT_THAT(arrivals(path), ElementsAre("0ms a", when)) << pause;
  }
}

TEST(Loss, OfATailIsToldByWhatComesBehindIt) {
  Path path({rare_loss}, {.session = session_that_loses(rare_loss, "x.")});
  path.comes(letters("a"));
  path.passes(milliseconds{50});
  path.comes("b");
  path.passes(seconds{1});
  EXPECT_THAT(arrivals(path), ElementsAre("70ms a", "70ms b"));
}

TEST(Loss, OfATailAndOfWhatComesBehindItWaitsForATimer) {
  Path path({some_loss}, {.session = session_that_loses(some_loss, "xx.")});
  path.comes(letters("a"));
  path.passes(milliseconds{50});
  path.comes("b");
  path.passes(seconds{1});
  EXPECT_THAT(arrivals(path), ElementsAre("220ms a", "270ms b")) << "nothing told of either";
}

TEST(Loss, LetsWhatComesLateBehindATailChangeNothing) {
  Path path({rare_loss}, {.session = session_that_loses(rare_loss, "x.")});
  path.comes(letters("a"));
  path.passes(milliseconds{210});
  path.comes("b");
  path.passes(seconds{1});
  EXPECT_THAT(arrivals(path), ElementsAre("220ms a", "220ms b"));
}

TEST(Loss, OfAllThatIsSentAgainDoublesTheTimeout) {
  Path path({"loss rate=1 rto=100ms"});
  path.comes("x");  // sent again after 120, 240, 480, 960, 1,920, 3,840 and 7,680 ms
  path.passes(seconds{20});
  EXPECT_THAT(path.told(), ElementsAre("7680ms x"));
}

TEST(Loss, OfASegmentIsTheSameWhateverTheChunks) {
  const std::uint64_t session = session_that_loses(rare_loss, "..x..");
  Path path({rare_loss}, {.session = session});
  const std::string sent = letters("abcde");
  for (std::size_t at = 0; at < sent.size(); at += 362) path.comes(std::string_view(sent).substr(at, 362));
  path.passes(seconds{1});
  EXPECT_EQ(arrivals(path).back(), "20ms e");
  EXPECT_EQ(path.out(), sent);
}

TEST(Loss, DrawsForEachMessageThatIsSelected) {
  Path path({"loss rate=0.1 on=line"});
  int pauses = 0;
  for (int i = 0; i < 4000; ++i) {
    path.comes("a line\n");
    pauses += path.held() > 0 ? 1 : 0;
    path.passes(seconds{20});
  }
  EXPECT_NEAR(pauses, 400, 76) << "7 bytes each; by their place in the stream twenty lines would share a lot";
}

TEST(Loss, HasAsManyPausesAsTheRateSays) {
  Path path({"loss rate=0.1 rto=10ms"});
  int pauses = 0;
  for (int i = 0; i < 4000; ++i) {
    path.comes(std::string(1448, 'x'));
    pauses += path.held() > 0 ? 1 : 0;
    path.passes(seconds{5});
  }
  EXPECT_NEAR(pauses, 400, 76);  // 4 standard deviations
}

TEST(Loss, LosesABurstTogetherAndMoreRarely) {
  Path path({"loss rate=0.1 burst=4 rto=10ms"});
  int pauses = 0;
  for (int i = 0; i < 4000; ++i) {
    path.comes(std::string(1448, 'x'));
    pauses += path.held() > 0 ? 1 : 0;
    path.passes(seconds{5});
  }
  EXPECT_NEAR(pauses, 372, 150) << "a tenth, in runs of four";
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
