// Several faults in a row; when each begins and ends; changes while bytes are on the way.
#include "fault/path.h"

namespace weir::fault {
namespace {

using namespace test;

TEST(Chain, LetsWhatOneReleasesEnterTheNext) {
  Path path({"latency latency=100ms name=a", "latency latency=50ms name=b"});
  path.comes("x");
  path.passes(milliseconds{149});
  EXPECT_THAT(path.told(), IsEmpty());
  path.passes(milliseconds{1});
  EXPECT_THAT(path.told(), ElementsAre("150ms x"));
}

TEST(Chain, WithoutFaultsPassesEverything) {
  Path path({});
  path.comes("x");
  path.ends();
  EXPECT_THAT(path.told(), ElementsAre("0ms x", "0ms FIN"));
}

TEST(Chain, BeginsAFaultAtAnAgeOfTheSession) {
  Path path({"latency latency=1s after=5s"}, {.age = seconds{3}});
  path.comes("a");
  path.passes(seconds{2});
  path.comes("b");
  path.passes(seconds{2});
  EXPECT_THAT(path.told(), ElementsAre("0ms a", "3000ms b"));
}

TEST(Chain, BeginsAFaultAtAnOffsetToTheByte) {
  Path path({"latency latency=1s after=3B"});
  path.comes("ab");
  path.comes("cde");
  path.passes(seconds{1});
  EXPECT_THAT(path.told(), ElementsAre("0ms ab", "0ms c", "1000ms de"));
}

TEST(Chain, CountsTheOffsetFromTheBeginningOfTheStream) {
  Path path({"latency latency=1s after=3B"}, {.offset = 100});
  path.comes("x");
  EXPECT_THAT(path.told(), IsEmpty());
}

TEST(Chain, CountsOffsetsAsTheSourceSentThemThoughBytesWereDropped) {
  Path path({"packet_loss loss_rate=1 for=1s", "corrupt mode=replace at=4 with=58"});
  path.comes("abc");
  path.passes(seconds{1});
  path.comes("defg");
  EXPECT_EQ(path.out(), "dXfg");
}

TEST(Chain, TakesAChangeOfAFaultThatCameWhenItsBytesHadEnded) {
  Path path({"slow_close delay=10s"});
  path.ends();
  path.has({"latency latency=1s name=late", "slow_close delay=10s"});
  path.has({"latency latency=2s after=5s name=late", "slow_close delay=10s"});
  path.passes(seconds{10});
  EXPECT_THAT(path.told(), ElementsAre("10000ms FIN"));
}

TEST(Chain, EndsAFaultAfterItsTime) {
  Path path({"latency latency=10s for=2s"});
  path.comes("held");
  path.passes(seconds{2});
  path.comes("free");
  EXPECT_THAT(path.told(), ElementsAre("2000ms held", "2000ms free"));
}

TEST(Chain, HandsOnWhatARemovedFaultHeldInOrder) {
  Path path({"latency latency=10s name=a", "latency latency=20s name=b"});
  path.comes("first ");
  path.passes(seconds{10});  // it is in b now
  path.comes("second ");
  path.has(std::vector<std::string>{});
  path.comes("third");
  EXPECT_EQ(path.out(), "first second third");
  EXPECT_EQ(path.held(), 0u);
}

TEST(Chain, KeepsWhatTheOthersHoldWhenOneIsRemoved) {
  Path path({"latency latency=1s name=a", "latency latency=5s name=b"});
  path.comes("x");
  path.has({"latency latency=5s name=b"});
  EXPECT_THAT(path.told(), IsEmpty());
  path.passes(seconds{5});
  EXPECT_THAT(path.told(), ElementsAre("5000ms x"));
}

TEST(Chain, PutsANewFaultInFrontOfWhatIsHeldBehindIt) {
  Path path({"latency latency=1s name=b"});
  path.comes("x");
  path.has({"latency latency=100ms name=a", "latency latency=1s name=b"});
  path.comes("y");
  path.passes(seconds{3});
  EXPECT_THAT(path.told(), ElementsAre("1000ms x", "1100ms y"));
}

TEST(Chain, KeepsTheBytesInOrderWhenFaultsChangePlaces) {
  Path path({"latency latency=1s name=a", "latency latency=2s name=b"});
  path.comes("first ");
  path.passes(seconds{1});
  path.comes("second ");
  path.has({"latency latency=2s name=b", "latency latency=1s name=a"});
  path.comes("third");
  path.passes(seconds{10});
  EXPECT_EQ(path.out(), "first second third");
}

TEST(Chain, DoesNotTouchAFaultThatIsTheSameInTheNewList) {
  const FaultList one = list_of({"latency latency=1s"});
  Path path({});
  path.has(one);
  path.comes("x");
  path.passes(milliseconds{500});
  path.has(one.with(parse_fault("noop").value()).value());
  path.passes(milliseconds{499});
  EXPECT_THAT(path.told(), IsEmpty());
  path.passes(milliseconds{1});
  EXPECT_THAT(path.told(), ElementsAre("1000ms x"));
}

TEST(Chain, LetsEverythingGoWhenTheSessionEnds) {
  Path path({"latency latency=10s", "stall direction=downstream", "bandwidth rate=1B/s", "slow_close delay=1h"});
  path.comes("goes");
  path.session_ends();
  EXPECT_EQ(path.out(), "goes");
  EXPECT_EQ(path.ended(), End::fin);
}

TEST(Chain, TakesNoMoreAfterAFaultHasEndedTheDirection) {
  Path path({"corrupt mode=truncate at=2", "latency latency=1s"});
  path.comes("abcd");
  EXPECT_FALSE(path.takes_more());
  path.comes("ignored");
  path.passes(seconds{2});
  EXPECT_THAT(path.told(), ElementsAre("1000ms ab", "1000ms FIN"));
}

TEST(Chain, AppliesAndLeavesWithTheProbability) {
  // u of this session and fault lies between: it applies iff the probability is above it.
  const ProxyFaults proxy(7, "web");
  const FaultSpec spec = parse_fault("latency latency=1s").value();
  const double u = proxy.lot(spec, SessionNumber{1}, Address());
  Path path({fmt::format("latency latency=1s probability={}", u)});
  path.comes("a");
  EXPECT_THAT(path.told(), ElementsAre("0ms a"));
  path.has({fmt::format("latency latency=1s probability={}", std::nextafter(u, 1.0))});
  path.comes("b");
  EXPECT_THAT(path.told(), IsEmpty());
  path.has({"latency latency=1s probability=0"});
  EXPECT_THAT(path.told(), ElementsAre("0ms b"));
}

TEST(Chain, MatchesTheClient) {
  Path hit({"latency latency=1s match=192.0.2.0/24"});
  hit.comes("x");
  EXPECT_THAT(hit.told(), IsEmpty());
  Path miss({"latency latency=1s match=198.51.100.0/24"});
  miss.comes("x");
  EXPECT_THAT(miss.told(), ElementsAre("0ms x"));
}

TEST(Chain, NamesTheFaultsThatCameIntoForce) {
  Path path({"noop", "latency after=1h", "slicer probability=0"});
  EXPECT_THAT(path.session().names(), ElementsAre("noop_downstream"));
}

}  // namespace
}  // namespace weir::fault
