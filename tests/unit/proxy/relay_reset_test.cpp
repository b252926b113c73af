// A leg that breaks: the reset is passed on, after delivery, to the other leg, and never as FIN.
#include <gtest/gtest.h>

#include "proxy/relay.h"
#include "proxy/relay_world.h"

namespace weir::proxy::scripted {
namespace {

using event::TimeoutName;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

auto reason(World<>& world) -> std::string { return std::string(event::to_string(world.relay().cause())); }

TEST(RelayReset, IsPassedOnInBothDirections) {
  for (const LegName broken : {LegName::client, LegName::server}) {
    World world;
    world.starts();
    world.passes(seconds{3});
    Socket& from = broken == LegName::client ? world.client : world.server;
    Socket& to = broken == LegName::client ? world.server : world.client;
    from.sends("last words");
    from.resets();
    world.passes(milliseconds{1});
    EXPECT_EQ(to.got(), "last words");
    EXPECT_TRUE(to.saw_reset());
    EXPECT_FALSE(to.saw_fin());
    EXPECT_FALSE(to.fin_passed()) << "a reset is no FIN";
    EXPECT_EQ(reason(world), broken == LegName::client ? "client.reset" : "server.reset");
    EXPECT_EQ(world.relay().cause().leg, broken);
    EXPECT_EQ(world.relay().error(), ECONNRESET);
    EXPECT_FALSE(world.relay().grace_expired());
  }
}

TEST(RelayReset, WithNothingToDeliverIsPassedOnAtOnce) {
  World world;
  world.starts();
  world.server.resets();
  world.settles();
  EXPECT_EQ(world.cause(), "server.reset after 0 ms");
  EXPECT_TRUE(world.client.saw_reset());
}

TEST(RelayReset, ComesAfterFourMegabytesInFlight) {
  World world;
  world.starts();
  world.server.stops_reading();
  world.client.sends_bulk(4 * MiB);
  world.settles();
  world.client.resets();
  for (int i = 0; i < 90 && !world.closed(); ++i) {
    world.passes(milliseconds{10});
    EXPECT_FALSE(world.server.saw_reset() && world.server.received().size() < 4 * MiB);
    world.server.takes(64 * KiB);
  }
  world.passes(milliseconds{256});
  EXPECT_EQ(world.server.received(), world.client.sent()) << "linger 0 at once would have thrown most of it away";
  EXPECT_TRUE(world.server.saw_reset());
  EXPECT_FALSE(world.relay().grace_expired());
  EXPECT_EQ(world.relay().totals()[0].undelivered, 0u);
}

TEST(RelayReset, PollsTheSinksKernelAtOneTwoFourMilliseconds) {
  World world;
  world.starts();
  world.server.stops_reading();
  world.client.sends("unacknowledged");
  world.settles();
  world.client.resets();
  world.settles();
  const MonoTime began = world.now();
  for (const int at : {1, 3, 7, 15, 31, 63, 127, 255, 511, 767}) {
    ASSERT_TRUE(world.relay().wants_alarm());
    EXPECT_EQ(*world.relay().wants_alarm() - began, milliseconds{at});
    world.passes(*world.relay().wants_alarm() - world.now());
  }
  EXPECT_EQ(*world.relay().wants_alarm() - began, seconds{1}) << "never past the grace";
  world.server.takes(100);
  world.passes(milliseconds{1000 - 767} - Nanos{1});
  EXPECT_FALSE(world.closed());
  world.passes(Nanos{1});
  EXPECT_TRUE(world.server.saw_reset());
  EXPECT_FALSE(world.relay().grace_expired()) << "all was acknowledged in time";
}

TEST(RelayReset, IsPassedOnWhenTheGraceEndsAndWhatIsLostIsCounted) {
  World world;
  world.timeouts.set(TimeoutName::reset_grace, milliseconds{200});
  world.starts();
  world.server.send_buffer = 100;
  world.server.stops_reading();
  world.client.sends_bulk(1000);
  world.settles();
  world.client.resets();
  world.passes(milliseconds{200} - Nanos{1});
  EXPECT_FALSE(world.closed());
  world.passes(Nanos{1});
  EXPECT_TRUE(world.closed());
  EXPECT_TRUE(world.relay().grace_expired());
  EXPECT_EQ(world.relay().totals()[0].undelivered, 1000u) << "900 of ours and 100 of the kernel's";
  EXPECT_EQ(world.server.discarded(), 100u);
  EXPECT_EQ(reason(world), "client.reset");
}

TEST(RelayReset, IsPassedOnAtOnceWithoutGrace) {
  World world;
  world.timeouts.set(TimeoutName::reset_grace, std::nullopt);
  world.starts();
  world.server.stops_reading();
  world.client.sends("lost");
  world.client.resets();
  world.settles();
  EXPECT_TRUE(world.closed());
  EXPECT_TRUE(world.relay().grace_expired());
  EXPECT_EQ(world.relay().totals()[0].undelivered, 4u);
}

// The failing write consumed the error: the next recv says 0, as for FIN.
TEST(RelayReset, ThatAWriteConsumedIsStillAReset) {
  World world;
  world.starts();
  world.edges_are_late[index(LegName::server)] = true;
  world.server.sends("the reason why");
  world.server.resets();
  world.client.sends("more");
  world.passes(milliseconds{1});
  EXPECT_EQ(world.client.got(), "the reason why") << "what came before it is read first";
  EXPECT_TRUE(world.client.saw_reset());
  EXPECT_FALSE(world.client.saw_fin());
  EXPECT_EQ(reason(world), "server.reset");
  EXPECT_EQ(world.relay().totals()[0].undelivered, 4u);
}

TEST(RelayReset, ThatAWriteOfATailConsumedIsStillAReset) {
  World world;
  world.starts();
  world.server.send_buffer = 10;
  world.server.stops_reading();
  world.client.sends("more than ten bytes");
  world.settles();
  world.server.takes(10);
  world.server.sends("the reason why");
  world.server.resets();
  world.edge_comes(LegName::server, {.writable = true});  // an edge that was taken before the reset came
  world.passes(milliseconds{1});
  EXPECT_EQ(world.client.got(), "the reason why");
  EXPECT_TRUE(world.client.saw_reset());
  EXPECT_FALSE(world.client.saw_fin());
}

TEST(RelayReset, OfALegThatIsNotReadIsSeen) {
  World world;
  world.starts();
  world.server.send_buffer = 64 * KiB;
  world.server.stops_reading();
  world.client.sends_bulk(MiB);
  world.settles();
  ASSERT_TRUE(world.up().blocked_since()) << "the client is not read while the server stalls";
  world.client.resets();
  world.settles();
  EXPECT_EQ(world.relay().phase(), RelayPhase::delivering_before_reset);
  world.passes(seconds{1});
  EXPECT_EQ(reason(world), "client.reset");
  EXPECT_TRUE(world.server.saw_reset());
  EXPECT_TRUE(world.relay().grace_expired());
}

TEST(RelayReset, OfALegThatIsNotReadIsPassedOnAfterItsBytes) {
  World world;
  world.starts();
  world.client.send_buffer = 64 * KiB;
  world.client.stops_reading();
  world.server.sends_bulk(MiB);
  world.settles();
  world.server.resets();
  world.settles();
  world.client.reads_on();
  world.passes(milliseconds{256});
  EXPECT_EQ(world.client.received(), world.server.sent());
  EXPECT_TRUE(world.client.saw_reset());
  EXPECT_EQ(world.relay().error(), ECONNRESET) << "the read that came last said which error it was";
}

TEST(RelayReset, AfterFinIsPassedOnThoughTheOtherSideIsSilent) {
  for (const LegName broken : {LegName::client, LegName::server}) {
    World world;
    world.starts();
    Socket& from = broken == LegName::client ? world.client : world.server;
    Socket& to = broken == LegName::client ? world.server : world.client;
    from.sends_fin();
    world.settles();
    EXPECT_TRUE(to.saw_fin());
    from.resets();
    world.passes(milliseconds{1});
    EXPECT_TRUE(world.closed()) << "no write will ever tell";
    EXPECT_TRUE(to.saw_reset());
    EXPECT_EQ(reason(world), broken == LegName::client ? "client.reset" : "server.reset");
  }
}

TEST(RelayReset, RightBehindFinLeavesTheFinInOrder) {
  World world;
  world.starts();
  world.client.sends("bye");
  world.client.sends_fin();
  world.client.resets();
  world.passes(milliseconds{1});
  EXPECT_EQ(world.server.got(), "bye");
  EXPECT_TRUE(world.server.saw_fin());
  EXPECT_TRUE(world.server.saw_reset());
}

TEST(RelayReset, IsNotSeenInAConnectionThatEndedInOrder) {
  World world;
  world.starts();
  world.server.sends_fin();
  world.settles();
  EXPECT_TRUE(world.client.saw_fin());
  world.server.send_buffer = 100;
  world.server.stops_reading();
  world.client.sends_bulk(1000);
  world.settles();
  world.client.sends_fin();  // behind bytes that are not read yet; the kernel's state is closed now
  ASSERT_TRUE(world.client.dead());
  world.passes(seconds{3});
  EXPECT_EQ(world.relay().phase(), RelayPhase::relaying);
  world.server.reads_on();
  world.settles();
  EXPECT_EQ(world.server.received(), world.client.sent());
  EXPECT_EQ(reason(world), "server.fin");
  EXPECT_FALSE(world.server.saw_reset());
}

TEST(RelayReset, OfBothLegsEndsAtOnce) {
  World world;
  world.starts();
  world.server.send_buffer = 100;
  world.server.stops_reading();
  world.client.sends_bulk(1000);
  world.settles();
  world.client.resets();
  world.settles();
  EXPECT_EQ(world.relay().phase(), RelayPhase::delivering_before_reset);
  world.passes(milliseconds{10});
  world.server.resets();
  world.settles();
  EXPECT_TRUE(world.closed()) << "nobody is left to wait for";
  EXPECT_EQ(reason(world), "client.reset") << "the first one";
  EXPECT_FALSE(world.relay().grace_expired());
  EXPECT_EQ(world.relay().totals()[0].undelivered, 900u);
}

TEST(RelayReset, BeforeTheStartIsFoundByTheFirstRead) {
  World world;
  world.server.sends("sorry");
  world.server.resets();
  world.edge_comes(LegName::server, *world.server.take_edge());
  world.starts();
  world.passes(milliseconds{1});
  EXPECT_EQ(world.client.got(), "sorry");
  EXPECT_TRUE(world.client.saw_reset());
}

TEST(RelayReset, WaitsForAnObserverHoweverSlow) {
  World world;
  world.is_watched({.mask = Watcher::everything, .slots = 4});
  world.starts();
  for (int i = 0; i < 6; ++i) {
    world.client.sends("x");
    world.settles();
  }
  world.client.resets();
  world.passes(minutes{10});
  EXPECT_FALSE(world.closed()) << "the grace is the peer's, not ours";
  for (int i = 0; i < 6; ++i) {
    world.watcher->reads();
    world.settles();
  }
  world.passes(milliseconds{1});
  EXPECT_EQ(world.server.got(), "xxxxxx");
  EXPECT_EQ(world.watcher->shown(Direction::upstream).size(), 6u);
  EXPECT_TRUE(world.server.saw_reset());
  EXPECT_FALSE(world.relay().grace_expired());
}

TEST(RelayReset, ByTheKernelsUserTimeoutIsNamedSo) {
  World world;
  world.starts();
  world.server.stops_reading();
  world.client.sends("never acknowledged");
  world.settles();
  world.server.resets(ETIMEDOUT);
  world.settles();
  EXPECT_EQ(world.cause(), "tcp.user_timeout after 60000 ms");
  EXPECT_EQ(world.relay().cause().leg, LegName::server);
  EXPECT_EQ(world.relay().error(), ETIMEDOUT);
  EXPECT_TRUE(world.client.saw_reset());
}

TEST(RelayReset, ByTheKernelWithUserTimeoutOffIsAnError) {
  World world;
  world.timeouts.set(TimeoutName::tcp_user_timeout, std::nullopt);
  world.starts();
  world.client.stops_reading();
  world.server.sends("never acknowledged");
  world.settles();
  world.client.resets(ETIMEDOUT);
  world.settles();
  EXPECT_EQ(reason(world), "client.error");
}

TEST(RelayReset, ByKeepaliveIsNamedSoWithTheSilence) {
  World world;
  world.starts();
  world.passes(minutes{1});
  world.client.sends("acknowledged");
  world.settles();
  world.passes(seconds{120});
  world.client.resets(ETIMEDOUT);
  world.settles();
  EXPECT_EQ(world.cause(), "tcp.keepalive after 120000 ms");
}

TEST(RelayReset, ByAnotherErrorNamesTheLegAndTheError) {
  for (const LegName broken : {LegName::client, LegName::server}) {
    World world;
    world.starts();
    (broken == LegName::client ? world.client : world.server).resets(EHOSTUNREACH);
    world.settles();
    EXPECT_EQ(reason(world), broken == LegName::client ? "client.error" : "server.error");
    EXPECT_EQ(world.relay().error(), EHOSTUNREACH);
  }
}

TEST(RelayReset, ByAWriteErrorOnALegThatLivesWaitsForItNoLongerThanTheGrace) {
  World world;
  world.starts();
  world.server.fail_writes.push_back(ENOBUFS);
  world.client.sends("x");
  world.passes(seconds{1});
  EXPECT_EQ(reason(world), "resources");
  EXPECT_TRUE(world.client.saw_reset() && world.server.saw_reset());
}

}  // namespace
}  // namespace weir::proxy::scripted
