// The clocks of a session through its relay: each one fired, and just missed. Alone: session_clocks_test.cpp.
#include <gtest/gtest.h>

#include "proxy/relay.h"
#include "proxy/relay_world.h"

namespace weir::proxy::scripted {
namespace {

using event::TimeoutName;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Nanos moment{1};

// A world in which only the named clocks run.
struct Clocks : World<> {
  Clocks(std::initializer_list<std::pair<TimeoutName, Nanos>> clocks) {
    for (const auto& info : event::timeout_catalog()) timeouts.set(info.name, std::nullopt);
    for (const auto& [name, value] : clocks) timeouts.set(name, value);
  }
  void client_says(std::string_view text) { client.sends(text), settles(); }
  void server_says(std::string_view text) { server.sends(text), settles(); }
  void lives_through(Nanos time) {
    passes(time);
    EXPECT_FALSE(closed()) << cause();
  }
  // Nothing happens for so long, and a moment earlier it still lived.
  void ends_after(Nanos time, std::string_view how) {
    passes(time - moment);
    EXPECT_FALSE(closed()) << "too early: " << cause();
    passes(moment);
    EXPECT_TRUE(closed());
    EXPECT_EQ(cause(), how);
    EXPECT_FALSE(client.is_open() || server.is_open());
  }
};

TEST(Timeouts, IdleRunsFromTheLastByteEitherWay) {
  Clocks world{{TimeoutName::idle, seconds{10}}};
  world.starts();
  world.lives_through(seconds{10} - moment);
  world.client_says("just in time");
  world.lives_through(seconds{10} - moment);
  world.server_says("just in time");
  world.ends_after(seconds{10}, "idle after 10000 ms");
  EXPECT_TRUE(world.client.saw_fin() && world.server.saw_fin()) << "in order, no reset";
}

TEST(Timeouts, IdleRunsFromTheLastByteWritten) {
  Clocks world{{TimeoutName::idle, seconds{10}}};
  world.starts();
  world.server.send_buffer = 4;
  world.server.stops_reading();
  world.client_says("123456");
  world.lives_through(seconds{9});
  world.server.takes(4);
  world.settles();
  world.ends_after(seconds{10}, "idle after 10000 ms");
}

TEST(Timeouts, IdleClientRunsBeforeAnyByte) {
  Clocks world{{TimeoutName::idle_client, seconds{5}}};
  world.starts();
  world.ends_after(seconds{5}, "idle.client after 5000 ms");
}

TEST(Timeouts, IdleClientRunsWhileTheServerSpokeLast) {
  Clocks world{{TimeoutName::idle_client, seconds{5}}};
  world.starts();
  world.lives_through(seconds{5} - moment);
  world.client_says("question");
  world.lives_through(minutes{5});  // the server's turn
  world.server_says("ans");
  world.lives_through(seconds{5} - moment);
  world.server_says("wer");
  world.ends_after(seconds{5}, "idle.client after 5000 ms");
}

TEST(Timeouts, IdleServerRunsWhileTheClientSpokeLast) {
  Clocks world{{TimeoutName::idle_server, seconds{5}}};
  world.starts();
  world.lives_through(minutes{5});  // before any byte it is the client's turn
  world.client_says("quest");
  world.lives_through(seconds{5} - moment);
  world.client_says("ion");
  world.lives_through(seconds{5} - moment);
  world.server_says("answer");
  world.lives_through(minutes{5});
  world.client_says("another");
  world.ends_after(seconds{5}, "idle.server after 5000 ms");
}

TEST(Timeouts, AShortClockStartsWhenTheTurnChanges) {
  Clocks world{{TimeoutName::idle_client, minutes{60}}, {TimeoutName::idle_server, seconds{1}}};
  world.starts();
  world.lives_through(minutes{30});
  world.client_says("question");
  world.ends_after(seconds{1}, "idle.server after 1000 ms");
}

TEST(Timeouts, TheServersBytesCountAsTheLastWhenBothMovedAtOnce) {
  Clocks world{{TimeoutName::idle_client, seconds{5}}, {TimeoutName::idle_server, seconds{1}}};
  world.client.sends("hello");
  world.server.sends("welcome");
  world.edge_comes(LegName::client, *world.client.take_edge());
  world.edge_comes(LegName::server, *world.server.take_edge());
  world.starts();
  world.ends_after(seconds{5}, "idle.client after 5000 ms");
}

TEST(Timeouts, FirstByteClientRunsFromTheStart) {
  Clocks fires{{TimeoutName::first_byte_client, seconds{3}}};
  fires.starts({}, minutes{1});
  fires.server_says("the server's do not count");
  fires.ends_after(seconds{3}, "first_byte.client after 3000 ms");

  Clocks misses{{TimeoutName::first_byte_client, seconds{3}}};
  misses.starts();
  misses.lives_through(seconds{3} - moment);
  misses.client_says("x");
  misses.lives_through(minutes{60});
}

TEST(Timeouts, FirstByteServerRunsFromTheStart) {
  Clocks fires{{TimeoutName::first_byte_server, seconds{3}}};
  fires.starts({}, minutes{1});
  fires.client_says("the client's do not count");
  fires.ends_after(seconds{3}, "first_byte.server after 3000 ms");

  Clocks misses{{TimeoutName::first_byte_server, seconds{3}}};
  misses.starts();
  misses.lives_through(seconds{3} - moment);
  misses.server_says("x");
  misses.lives_through(minutes{60});
}

TEST(Timeouts, FirstByteIsNotWaitedForAfterFin) {
  Clocks world{{TimeoutName::first_byte_client, seconds{3}}, {TimeoutName::first_byte_server, seconds{3}}};
  world.starts();
  world.client.sends_fin();
  world.lives_through(minutes{60});
}

TEST(Timeouts, WriteStallNamesTheLegThatTakesNothing) {
  for (const LegName slow : {LegName::client, LegName::server}) {
    Clocks world{{TimeoutName::write_stall, seconds{20}}};
    world.starts();
    Socket& sink = slow == LegName::client ? world.client : world.server;
    Socket& source = slow == LegName::client ? world.server : world.client;
    sink.send_buffer = 100;
    sink.stops_reading();
    world.lives_through(minutes{5});  // nothing is due
    source.sends_bulk(100);
    world.lives_through(minutes{5});  // all fits
    sink.takes(100);
    source.sends_bulk(300);
    world.settles();
    world.lives_through(seconds{20} - moment);
    sink.takes(100);  // just in time
    world.settles();
    world.ends_after(seconds{20}, "write_stall after 20000 ms");
    EXPECT_EQ(world.relay().cause().leg, slow);
    EXPECT_EQ(world.relay().totals()[slow == LegName::client ? 1 : 0].undelivered, 100u);
  }
}

TEST(Timeouts, WriteStallRunsForBytesInAPipe) {
  Clocks world{{TimeoutName::write_stall, seconds{20}}};
  world.starts();
  world.client.sends_bulk(300 * KiB);
  world.settles();
  world.server.send_buffer = 100 * KiB;
  world.server.stops_reading();
  world.client.sends_bulk(300 * KiB);
  world.settles();
  ASSERT_TRUE(world.up().splicing());
  world.lives_through(seconds{20} - moment);
  world.server.takes(100 * KiB);
  world.settles();
  world.ends_after(seconds{20}, "write_stall after 20000 ms");
}

TEST(Timeouts, WriteStallStopsWhenTheBytesAreTaken) {
  Clocks world{{TimeoutName::write_stall, seconds{20}}};
  world.starts();
  world.server.send_buffer = 100;
  world.server.stops_reading();
  world.client.sends_bulk(150);
  world.settles();
  world.lives_through(seconds{19});
  world.server.takes(100);
  world.lives_through(minutes{60});
  world.client.sends_bulk(100);
  world.settles();
  world.ends_after(seconds{20}, "write_stall after 20000 ms");
}

TEST(Timeouts, HalfCloseRunsFromFinAndFromEveryByteAfter) {
  Clocks world{{TimeoutName::half_close, seconds{30}}};
  world.starts();
  world.lives_through(minutes{60});
  world.server.sends_fin();
  world.lives_through(seconds{30} - moment);
  world.client_says("still sending");
  world.ends_after(seconds{30}, "half_close after 30000 ms");
}

TEST(Timeouts, HalfCloseIsMissedByTheOtherFin) {
  Clocks world{{TimeoutName::half_close, seconds{30}}};
  world.starts();
  world.client.sends_fin();
  world.lives_through(seconds{30} - moment);
  world.server.sends_fin();
  world.settles();
  EXPECT_EQ(world.cause(), "client.fin after 29999 ms");
}

TEST(Timeouts, MaxDurationRunsFromAccept) {
  Clocks world{{TimeoutName::max_duration, minutes{1}}};
  world.starts({}, seconds{20});
  for (int i = 0; i < 39; ++i) {
    world.client_says("busy");
    world.lives_through(seconds{1});
  }
  world.ends_after(seconds{1}, "max_duration after 60000 ms");
}

TEST(Timeouts, MaxDurationIsMissedByAnEndInOrder) {
  Clocks world{{TimeoutName::max_duration, minutes{1}}};
  world.starts();
  world.lives_through(minutes{1} - moment);
  world.client.sends_fin();
  world.server.sends_fin();
  world.passes(moment);
  EXPECT_EQ(event::to_string(world.relay().cause()), "client.fin");
}

TEST(Timeouts, TheEarliestIsNamedWhenSeveralHaveRunOut) {
  Clocks world{
      {TimeoutName::idle, seconds{3}}, {TimeoutName::idle_client, seconds{2}}, {TimeoutName::max_duration, seconds{4}}};
  world.starts();
  world.relay().on_deadline(world.now() + minutes{1});
  EXPECT_EQ(world.cause(), "idle.client after 2000 ms");
}

TEST(Timeouts, OffMeansThatNoClockRuns) {
  Clocks world{};
  world.starts();
  EXPECT_FALSE(world.relay().deadline());
  world.client.sends_fin();
  world.lives_through(minutes{100'000});
  EXPECT_FALSE(world.relay().deadline());
}

TEST(Timeouts, AnEarlyLookEndsNothing) {
  Clocks world{{TimeoutName::idle, seconds{3}}};
  world.starts();
  world.relay().on_deadline(world.now() + seconds{3} - moment);
  EXPECT_FALSE(world.closed());
}

TEST(Timeouts, DoNotRunWhileAResetWaitsForDelivery) {
  Clocks world{{TimeoutName::idle, seconds{3}},
               {TimeoutName::max_duration, seconds{4}},
               {TimeoutName::write_stall, seconds{2}},
               {TimeoutName::reset_grace, seconds{10}}};
  world.starts();
  world.server.send_buffer = 4;
  world.server.stops_reading();
  world.client_says("1234567");
  world.client.resets();
  world.ends_after(seconds{10}, "client.reset after 10000 ms");
}

// A ring of four slots: two exchanges fill it, the third waits in the kernel.
struct ParkedClocks : Clocks {
  explicit ParkedClocks(std::initializer_list<std::pair<TimeoutName, Nanos>> clocks) : Clocks(clocks) {
    is_watched({.mask = Watcher::everything, .directions = {true, false}, .slots = 4});
  }
  void is_parked() {
    for (int i = 0; i < 3; ++i) client_says("x");
    ASSERT_TRUE(relay().parked());
  }
  void observer_reads() {
    watcher->reads();
    settles();
    ASSERT_FALSE(relay().parked());
  }
};

TEST(Timeouts, OfSilenceStandStillWhileAnObserverIsSlow) {
  ParkedClocks world{{TimeoutName::idle, seconds{10}}, {TimeoutName::idle_server, seconds{5}}};
  world.starts();
  world.is_parked();
  world.lives_through(minutes{60});
  world.observer_reads();
  world.ends_after(seconds{5}, "idle.server after 5000 ms");
  EXPECT_EQ(world.relay().waited_for_observers(), minutes{60});
}

TEST(Timeouts, OfASessionThatEndsWhileItWaitsForAnObserverTellsTheWait) {
  ParkedClocks world{{TimeoutName::max_duration, hours{20}}};
  world.starts();
  world.lives_through(hours{11});
  world.is_parked();
  world.ends_after(hours{9}, "max_duration after 72000000 ms");
  EXPECT_EQ(world.relay().waited_for_observers(), hours{9});
}

TEST(Timeouts, OfTheFirstByteStandStillWhileAnObserverIsSlow) {
  ParkedClocks world{{TimeoutName::first_byte_server, seconds{10}}};
  world.starts();
  world.lives_through(seconds{4});
  world.is_parked();
  world.lives_through(minutes{60});
  world.observer_reads();
  world.ends_after(seconds{6}, "first_byte.server after 10000 ms");
}

TEST(Timeouts, OfAHalfClosedSessionStandStillWhileAnObserverIsSlow) {
  ParkedClocks world{{TimeoutName::half_close, seconds{10}}};
  world.starts();
  world.server.sends_fin();
  world.lives_through(seconds{4});
  world.is_parked();
  world.lives_through(minutes{60});
  world.observer_reads();
  world.ends_after(seconds{10}, "half_close after 10000 ms");
}

TEST(Timeouts, MaxDurationRunsOnWhileAnObserverIsSlow) {
  ParkedClocks world{{TimeoutName::max_duration, seconds{10}}, {TimeoutName::idle, seconds{1}}};
  world.starts();
  world.is_parked();
  world.ends_after(seconds{10}, "max_duration after 10000 ms");
}

TEST(Timeouts, WriteStallRunsOnWhileAnObserverIsSlow) {
  ParkedClocks world{{TimeoutName::write_stall, seconds{10}}, {TimeoutName::idle, seconds{1}}};
  world.starts();
  world.client.send_buffer = 4;
  world.client.stops_reading();
  world.server_says("1234567");
  world.is_parked();
  world.ends_after(seconds{10}, "write_stall after 10000 ms");
  EXPECT_EQ(world.relay().cause().leg, LegName::client);
}

// The pause may end without a byte: what looked like news was none.
TEST(Timeouts, GoOnFromWhereTheyStoodWhenAPauseEndsWithoutAByte) {
  ParkedClocks world{{TimeoutName::idle, seconds{10}}};
  world.starts();
  for (int i = 0; i < 2; ++i) world.client_says("x");
  world.lives_through(seconds{4});
  world.client.spurious_edge();
  world.edge_comes(LegName::client, {.readable = true});
  ASSERT_TRUE(world.relay().parked());
  world.lives_through(minutes{60});
  world.observer_reads();
  world.ends_after(seconds{6}, "idle after 10000 ms");
}

TEST(Timeouts, OnlyAClockThatComesCloserIsAnnounced) {
  Clocks world{{TimeoutName::idle, seconds{10}}, {TimeoutName::half_close, seconds{5}}};
  world.relay().start(world.now(), world.now());
  EXPECT_TRUE(world.relay().take_deadline_moved_closer());
  EXPECT_FALSE(world.relay().take_deadline_moved_closer());
  world.client.sends("x");
  world.relay().on_ready(LegName::client, *world.client.take_edge(), world.now());
  EXPECT_FALSE(world.relay().take_deadline_moved_closer()) << "a byte only moves clocks on";
  world.client.sends_fin();
  world.relay().on_ready(LegName::client, *world.client.take_edge(), world.now());
  EXPECT_TRUE(world.relay().take_deadline_moved_closer());
}

}  // namespace
}  // namespace weir::proxy::scripted
