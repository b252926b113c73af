// Faults that end a direction or the session: timeout, reset_peer, limit_data, half_close.
#include "fault/path.h"

namespace weir::fault {
namespace {

using namespace test;

TEST(Timeout, DropsEverythingAndEndsTheSessionAfterSilence) {
  Path path({"timeout timeout=100ms"});
  path.comes("dropped");
  path.passes(milliseconds{60});
  path.comes("dropped too");
  path.passes(milliseconds{99});
  EXPECT_THAT(path.told(), IsEmpty());
  path.passes(milliseconds{1});
  EXPECT_THAT(path.told(), ElementsAre("160ms session FIN"));
}

TEST(Timeout, EndsASessionInWhichNothingEverCame) {
  Path path({"timeout timeout=100ms"});
  path.passes(seconds{1});
  EXPECT_THAT(path.told(), ElementsAre("100ms session FIN"));
}

TEST(Timeout, OfZeroNeverEndsIt) {
  Path path({"timeout"});
  path.comes("dropped");
  path.passes(std::chrono::hours{24});
  EXPECT_THAT(path.told(), IsEmpty());
  EXPECT_EQ(path.held(), 0u);
}

TEST(Timeout, ThatIsRemovedEndsTheSession) {
  Path path({"timeout"});
  path.comes("dropped");
  path.has(std::vector<std::string>{});
  EXPECT_THAT(path.told(), ElementsAre("0ms session FIN"));
}

TEST(Timeout, ThatNeverAppliedLeavesTheSessionAlone) {
  Path path({"timeout probability=0"});
  path.comes("passes");
  path.has(std::vector<std::string>{});
  path.comes("too");
  EXPECT_THAT(path.told(), ElementsAre("0ms passes", "0ms too"));
}

TEST(ResetPeer, ResetsAfterTheFirstByte) {
  Path path({"reset_peer timeout=100ms"});
  path.passes(seconds{5});
  EXPECT_THAT(path.told(), IsEmpty()) << "no byte, no time";
  path.comes("x");
  path.passes(milliseconds{50});
  path.comes("more does not start it anew");
  path.passes(seconds{5});
  EXPECT_THAT(path.told(), ElementsAre("5100ms RST"));
}

TEST(ResetPeer, ResetsAfterAFinToo) {
  Path path({"reset_peer"});
  path.ends();
  EXPECT_THAT(path.told(), ElementsAre("0ms RST"));
}

TEST(ResetPeer, ThatIsRemovedInTimeHandsOnWhatWaited) {
  Path path({"reset_peer timeout=1s"});
  path.comes("waits");
  path.has(std::vector<std::string>{});
  path.comes(" and goes on");
  EXPECT_EQ(path.out(), "waits and goes on");
  path.passes(seconds{5});
  EXPECT_FALSE(path.ended());
}

TEST(LimitData, IsExactToTheByteWhateverTheChunks) {
  for (const std::size_t chunk : {1u, 3u, 7u, 10u, 64u}) {
    Path path({"limit_data bytes=10"});
    for (int i = 0; i < 12 && !path.ended(); ++i) path.comes(std::string(chunk, 'x'));
    EXPECT_EQ(path.out(), std::string(10, 'x')) << chunk;
    EXPECT_EQ(path.ended(), End::session_fin);
  }
}

TEST(LimitData, OfZeroEndsAtTheFirstByteWithNothingSent) {
  Path path({"limit_data"});
  path.passes(seconds{5});
  EXPECT_FALSE(path.ended());
  path.comes("x");
  EXPECT_EQ(path.out(), "");
  EXPECT_EQ(path.ended(), End::session_fin);
}

TEST(LimitData, KeepsCountThroughAChange) {
  Path path({"limit_data bytes=100"});
  path.comes("12345");
  path.has({"limit_data bytes=8"});
  path.comes("67890");
  EXPECT_EQ(path.out(), "12345678");
}

TEST(LimitData, HasWhatItPassedDeliveredByALaterFaultFirst) {
  Path path({"limit_data bytes=3", "latency latency=100ms"});
  path.comes("abcdef");
  EXPECT_FALSE(path.ended());
  path.passes(seconds{1});
  EXPECT_THAT(path.told(), ElementsAre("100ms abc", "100ms session FIN"));
  ASSERT_NE(path.end_maker(), nullptr);
  EXPECT_EQ(path.end_maker()->name, "limit_data_downstream");
}

TEST(LimitData, CountsItsScopeTogether) {
  const auto proxy = std::make_shared<ProxyFaults>(7, "web");
  Path first({"limit_data bytes=10 scope=proxy"}, {.session = 1}, proxy);
  Path second({"limit_data bytes=10 scope=proxy"}, {.session = 2}, proxy);
  first.comes("123456");
  second.comes("123456");
  EXPECT_EQ(second.out(), "1234");
  EXPECT_EQ(second.ended(), End::session_fin);
}

TEST(Faults, AreToldFromTheSourceAsTheMakerOfAnEnd) {
  for (const char* fault : {"half_close delay=1s", "corrupt mode=truncate at=3", "limit_data bytes=3",
                            "timeout timeout=1s", "reset_peer timeout=1s"}) {
    Path path({fault});
    path.comes("abcdef");
    path.passes(seconds{2});
    EXPECT_TRUE(path.ended()) << fault;
    ASSERT_NE(path.end_maker(), nullptr) << fault;
    EXPECT_EQ(fault,
              std::string(path.end_maker()->type->type) + std::string(fault).substr(std::string(fault).find(' ')));
  }
  for (const char* fault : {"latency latency=1s", "slow_close delay=1s", "bandwidth rate=1KB/s",
                            "slicer average_size=1", "half_close delay=1h", "limit_data bytes=100", "noop"}) {
    Path path({fault});
    path.comes("abcdef");
    path.ends();
    path.passes(seconds{2});
    EXPECT_EQ(path.ended(), End::fin) << fault;
    EXPECT_EQ(path.end_maker(), nullptr) << fault << ": its source has ended";
  }
}

TEST(Faults, ThatEndTheSessionAreNamedBeforeThoseThatEndedADirection) {
  Path path({"half_close delay=0", "reset_peer timeout=1s"});
  path.passes(seconds{2});
  EXPECT_EQ(path.ended(), End::session_reset);
  ASSERT_NE(path.end_maker(), nullptr);
  EXPECT_EQ(path.end_maker()->type->type, "reset_peer");
}

TEST(Faults, ThatAreTakenAwayAtTheSessionsEndHaveNotEndedIt) {
  Path path({"timeout timeout=0"});
  path.session_ends();
  EXPECT_EQ(path.end_maker(), nullptr);
}

TEST(Faults, WaitForTenYearsAtMost) {
  FaultSpec spec = *make_classic("timeout", "forever", Direction::downstream, 1);
  ASSERT_TRUE(set_classic(spec, "timeout", 9'223'372'036'854).value());  // milliseconds: as a time 292 years from now
  FaultList list;
  Path path({});
  path.has(*list.with(spec));
  path.comes("dropped");
  path.passes(seconds{3600});
  EXPECT_EQ(path.out(), "");
  EXPECT_FALSE(path.ended());
  EXPECT_EQ(classic_attributes(spec)->front().second, 9'223'372'036'854) << "it is shown as it was written";
  EXPECT_EQ(set_classic(spec, "timeout", 9'223'372'036'855).error().message,
            "timeout: timeout: 9223372036855 is out of range: write a number from -9223372036854 to 9223372036854");
}

TEST(HalfClose, EndsItsDirectionAfterItsTime) {
  Path path({"half_close delay=1s"});
  path.comes("x");
  path.passes(seconds{2});
  EXPECT_THAT(path.told(), ElementsAre("0ms x", "1000ms FIN"));
  EXPECT_FALSE(path.takes_more());
}

TEST(HalfClose, AtAnOffsetEndsItThereExactly) {
  Path path({"half_close after=4B"});
  path.comes("ab");
  path.comes("cdef");
  EXPECT_THAT(path.told(), ElementsAre("0ms ab", "0ms cd", "0ms FIN"));
  EXPECT_EQ(path.held(), 0u);
}

}  // namespace
}  // namespace weir::fault
