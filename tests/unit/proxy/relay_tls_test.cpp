// The same relay over ends that speak records: plaintext that no edge announces, reads that wait for
// a write, writes that wait for a read, an end that does not fit.
#include <gtest/gtest.h>

#include "proxy/relay.h"
#include "proxy/relay_world.h"

namespace weir::proxy::scripted {
namespace {

using std::chrono::milliseconds;

using TlsClient = World<TlsLeg, PlainLeg>;
using TlsServer = World<PlainLeg, TlsLeg>;

TEST(Tls, RelaysRecordsBothWays) {
  TlsClient world;
  world.starts();
  world.client_leg.peer.sends("question");
  world.settles();
  EXPECT_EQ(world.server.got(), "question");
  world.server.sends("answer");
  world.settles();
  EXPECT_EQ(world.client_leg.peer.got(), "answer");
}

TEST(Tls, ReadsOnThoughOneReadGivesOneRecord) {
  TlsClient world;
  world.starts();
  world.client_leg.peer.sends_bulk(MiB);
  world.settles();
  EXPECT_EQ(world.server.received(), world.client_leg.peer.sent()) << "one edge, sixty-four records";
}

TEST(Tls, ReadsWhatIsBufferedWithoutAnEdge) {
  TlsClient world;
  world.server.send_buffer = 5 * KiB;
  world.server.stops_reading();
  world.starts();
  world.client_leg.peer.sends_bulk(15 * KiB);
  world.client_leg.peer.sends("in one read of the socket with what came before");
  world.settles();
  EXPECT_EQ(world.client.unread(), 0u);
  world.relay().client().readable = false;
  EXPECT_TRUE(world.relay().client().can_read());
  world.server.reads_on();
  world.settles();
  EXPECT_EQ(world.server.received(), world.client_leg.peer.sent());
}

TEST(Tls, RelaysBulkWithoutSplice) {
  TlsServer world;
  world.starts();
  world.client.sends_bulk(2 * MiB);
  world.server_leg.peer.sends_bulk(MiB);
  world.settles();
  EXPECT_EQ(world.server_leg.peer.received(), world.client.sent());
  EXPECT_EQ(world.client.received(), world.server_leg.peer.sent());
  EXPECT_EQ(world.client.calls.splices_in, 0u);
}

TEST(Tls, KeepsTheRestOfARecordThatLeftInPart) {
  TlsServer world;
  world.starts();
  world.server.send_buffer = 1000;
  world.client.sends_bulk(100 * KiB);
  world.settles();
  EXPECT_EQ(world.server_leg.peer.received(), world.client.sent());
  EXPECT_EQ(world.up().undelivered(), 0u);
}

// A key update must be answered before reading goes on, and the socket takes nothing now.
TEST(Tls, WaitsForRoomWhenAReadWantsToWrite) {
  TlsClient world;
  world.starts();
  world.client.send_buffer = 100;
  world.client.stops_reading();
  world.server.sends_bulk(99 - 3);  // its record leaves no room for the answer
  world.settles();
  world.client_leg.peer.sends_key_update();
  world.client_leg.peer.sends("behind the key update");
  world.settles();
  EXPECT_EQ(world.relay().client().end.read_want(), Want::writable);
  EXPECT_EQ(world.server.got(), "");
  world.client.takes(100);
  world.settles();
  EXPECT_EQ(world.server.got(), "behind the key update");
  world.client.reads_on();
  world.settles();
  EXPECT_EQ(world.client_leg.peer.answers(), 1u);
  EXPECT_EQ(world.client_leg.peer.received(), world.server.sent());
}

TEST(Tls, WaitsForARecordWhenAWriteWantsToRead) {
  TlsClient world;
  world.starts();
  world.client_leg.layer.write_needs_reply();
  world.server.sends("answer");
  world.settles();
  EXPECT_EQ(world.relay().client().end.write_want(), Want::readable);
  EXPECT_TRUE(world.down().blocked_since());
  world.client.spurious_edge();  // room, of which there was enough
  world.settles();
  EXPECT_EQ(world.client_leg.peer.got(), "");
  world.client_leg.peer.sends_reply();
  world.settles();
  EXPECT_EQ(world.client_leg.peer.got(), "answer");
}

// The read of the same step takes the record that the write waited for: no edge is left for it.
TEST(Tls, TriesAWriteAgainWhenAReadTookWhatItWaitedFor) {
  TlsClient world;
  world.starts();
  world.client_leg.layer.write_needs_reply();
  world.server.sends("answer");
  world.settles();
  world.client_leg.peer.sends_reply();
  world.client_leg.peer.sends("and data");
  world.settles();
  EXPECT_EQ(world.server.got(), "and data");
  EXPECT_EQ(world.client_leg.peer.got(), "answer");
}

// Here the write takes data out of the socket that no edge announces any more.
TEST(Tls, ReadsWhatAWriteFound) {
  for (const bool client_speaks_tls : {true, false}) {
    TlsClient client_world;
    TlsServer server_world;
    const auto story = [](auto& world, TlsLeg& tls, Socket& plain, LegName tls_name) {
      world.starts();
      tls.layer.write_needs_reply();
      world.edges_are_late[index(tls_name)] = true;
      tls.peer.sends("found by a write");
      tls.peer.sends_reply();
      plain.sends("answer");
      world.settles();
      EXPECT_EQ(tls.peer.got(), "answer");
      EXPECT_EQ(plain.got(), "found by a write");
    };
    client_speaks_tls ? story(client_world, client_world.client_leg, client_world.server, LegName::client)
                      : story(server_world, server_world.server_leg, server_world.client, LegName::server);
  }
}

TEST(Tls, EndsWithCloseNotifyWhenThereIsRoomForIt) {
  TlsServer world;
  world.starts();
  world.server.send_buffer = 101;
  world.server.stops_reading();
  world.client.sends_bulk(98);  // with its header all but no room
  world.client.sends_fin();
  world.settles();
  EXPECT_FALSE(world.server.fin_passed());
  EXPECT_EQ(world.up().state(), PumpState::finishing);
  world.server.reads_on();
  world.settles();
  EXPECT_TRUE(world.server_leg.peer.saw_close_notify());
  EXPECT_TRUE(world.server.saw_fin());
  EXPECT_EQ(world.server_leg.peer.received(), world.client.sent());
}

TEST(Tls, TakesCloseNotifyForFin) {
  TlsClient world;
  world.starts();
  world.client_leg.peer.sends("bye");
  world.client_leg.peer.sends_close_notify();
  world.settles();
  EXPECT_EQ(world.server.got(), "bye");
  EXPECT_TRUE(world.server.saw_fin());
  world.server.sends_fin();
  world.settles();
  EXPECT_TRUE(world.client_leg.peer.saw_close_notify());
  EXPECT_EQ(event::to_string(world.relay().cause()), "client.fin");
}

TEST(Tls, PassesAResetOnAfterWhatWasBuffered) {
  TlsClient world;
  world.server.send_buffer = 4 * KiB;
  world.starts();
  world.client_leg.peer.sends_bulk(100 * KiB);
  world.client.resets();
  world.passes(milliseconds{256});
  EXPECT_EQ(world.server.received(), world.client_leg.peer.sent());
  EXPECT_TRUE(world.server.saw_reset());
  EXPECT_FALSE(world.server.fin_passed());
}

TEST(Tls, RelaysBetweenTwoSuchEnds) {
  World<TlsLeg, TlsLeg> world;
  world.client.send_buffer = world.server.send_buffer = 7 * KiB;
  world.starts();
  for (int i = 0; i < 10; ++i) {
    world.client_leg.peer.sends_bulk(30 * KiB);
    world.client_leg.peer.sends_key_update();
    world.server_leg.peer.sends_key_update();
    world.server_leg.peer.sends_bulk(20 * KiB);
    world.settles();
  }
  EXPECT_EQ(world.server_leg.peer.received(), world.client_leg.peer.sent());
  EXPECT_EQ(world.client_leg.peer.received(), world.server_leg.peer.sent());
  EXPECT_EQ(world.client_leg.peer.answers(), 10u);
  EXPECT_EQ(world.server_leg.peer.answers(), 10u);
}

}  // namespace
}  // namespace weir::proxy::scripted
