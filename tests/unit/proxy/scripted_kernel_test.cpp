// The scripted kernel itself: a model that is kinder than Linux would prove nothing.
#include "proxy/scripted_kernel.h"

#include <gtest/gtest.h>

#include <array>

#include "proxy/relay_world.h"

namespace weir::proxy::scripted {
namespace {

using std::chrono::hours;

auto read_up_to(Socket& socket, std::size_t n) -> std::string {
  std::string text(n, '\0');
  const ReadResult read = socket.read(std::as_writable_bytes(std::span(text)));
  if (read.status == IoStatus::would_block) return "(would block)";
  if (read.status == IoStatus::end) return "(end)";
  if (read.status == IoStatus::broken) return "(error)";
  return text.substr(0, read.bytes);
}

TEST(ScriptedKernel, RaisesNoEdgeWhenNothingHappened) {
  Socket socket;
  EXPECT_FALSE(socket.take_edge());
  socket.sends("ab");
  ASSERT_TRUE(socket.take_edge());
  EXPECT_EQ(read_up_to(socket, 1), "a");
  EXPECT_FALSE(socket.take_edge()) << "a byte is left, but it is no news";
}

TEST(ScriptedKernel, MergesWhatHappenedIntoOneEdgeWithTheStateOfNow) {
  Socket socket;
  socket.sends("ab");
  socket.sends_fin();
  const auto news = socket.take_edge();
  ASSERT_TRUE(news);
  EXPECT_TRUE(news->readable && news->hang_up && news->writable);
  EXPECT_FALSE(socket.take_edge());
}

TEST(ScriptedKernel, GivesRoomAnEdgeOnlyAfterAWriteRanOut) {
  Socket socket;
  socket.send_buffer = 8;
  socket.stops_reading();
  EXPECT_EQ(socket.write(bytes_of("12345678")).bytes, 8u);
  socket.takes(8);
  EXPECT_FALSE(socket.take_edge()) << "the write was complete: nobody waits for room";

  EXPECT_EQ(socket.write(bytes_of("1234567890")).bytes, 8u) << "a short write";
  EXPECT_EQ(socket.write(bytes_of("90")).status, IoStatus::would_block);
  socket.takes(1);
  EXPECT_FALSE(socket.take_edge()) << "too little room to say so";
  socket.takes(3);
  EXPECT_TRUE(socket.take_edge());
}

TEST(ScriptedKernel, TellsAResetOnceAfterTheBytesBeforeIt) {
  Socket socket;
  socket.sends("last words");
  socket.resets();
  EXPECT_EQ(read_up_to(socket, 99), "last words");
  EXPECT_EQ(read_up_to(socket, 99), "(error)");
  EXPECT_EQ(read_up_to(socket, 99), "(end)");
}

TEST(ScriptedKernel, LetsAWriteConsumeTheReset) {
  Socket socket;
  socket.sends("last words");
  socket.resets();
  EXPECT_EQ(socket.write(bytes_of("x")).error, ECONNRESET);
  EXPECT_EQ(read_up_to(socket, 99), "last words");
  EXPECT_EQ(read_up_to(socket, 99), "(end)") << "as recv() does: reset would become FIN";
  EXPECT_TRUE(socket.dead());
}

TEST(ScriptedKernel, StopsReadsAtTheUrgentMarkAndSplicesForEver) {
  Socket socket;
  ScriptedPipe pipe;
  socket.sends("ab");
  socket.sends_urgent('!');
  socket.sends("cd");
  EXPECT_TRUE(socket.take_edge()->urgent);
  EXPECT_EQ(read_up_to(socket, 99), "ab");
  EXPECT_EQ(socket.splice_in(pipe, 99).status, IoStatus::would_block);
  EXPECT_FALSE(socket.take_edge());
  EXPECT_EQ(read_up_to(socket, 99), "!cd");
}

TEST(ScriptedKernel, FillsAPipeBySlotsNotByBytes) {
  Socket socket;
  ScriptedPipe::rules = {.segment = 1448};
  {
    ScriptedPipe pipe;
    socket.sends_bulk(100'000);
    EXPECT_EQ(socket.splice_in(pipe, 1'000'000).bytes, 16u * 1448u);
    EXPECT_EQ(socket.splice_in(pipe, 1'000'000).status, IoStatus::would_block) << "though the socket holds more";
    EXPECT_EQ(socket.splice_out(pipe).bytes, 16u * 1448u);
    EXPECT_GT(socket.splice_in(pipe, 1'000'000).bytes, 0u);
  }
  ScriptedPipe::rules = {};
}

TEST(ScriptedKernel, TurnsACloseWithUnreadBytesIntoAReset) {
  Socket read, unread;
  read.sends("x");
  unread.sends("x");
  EXPECT_EQ(read_up_to(read, 9), "x");
  read.close();
  unread.close();
  EXPECT_TRUE(read.saw_fin());
  EXPECT_FALSE(read.saw_reset());
  EXPECT_TRUE(unread.saw_reset());
  EXPECT_FALSE(unread.saw_fin());
}

TEST(ScriptedKernel, DiscardsUnsentBytesOnReset) {
  Socket socket;
  socket.stops_reading();
  EXPECT_EQ(socket.write(bytes_of("never seen")).bytes, 10u);
  socket.reset();
  socket.reads_on();
  EXPECT_EQ(socket.got(), "");
  EXPECT_EQ(socket.discarded(), 10u);
}

TEST(ScriptedKernel, ForbidsCallsOnAClosedEnd) {
  Socket socket;
  socket.close();
  std::array<std::byte, 1> one;
  EXPECT_THROW((void)socket.read(one), Violation);
  EXPECT_THROW(socket.close(), Violation);
}

// What the model is for: here a hint is cleared by hand, as a relay with a bug would.
TEST(ScriptedKernel, LetsWhoLosesAnEdgeWaitForEver) {
  World world;
  world.starts();
  world.edges_are_late[index(LegName::client)] = true;
  world.client.sends("hello");
  EXPECT_TRUE(world.client.take_edge()) << "taken, and forgotten";
  world.edges_are_late[index(LegName::client)] = false;
  world.passes(hours{1} - Nanos{1});
  EXPECT_EQ(world.server.got(), "");
  world.passes(Nanos{1});
  EXPECT_EQ(world.cause(), "idle after 3600000 ms");
}

TEST(World, FindsASpin) {
  World world;
  world.starts();
  EXPECT_THROW(
      while (true) {
        world.client.spurious_edge();
        for (unsigned i = 0; world.one_thing_happens(); ++i) {
          world.client.spurious_edge();
          require(i < World<>::spin_limit, "the relay spins");
        }
      },
      Violation);
}

}  // namespace
}  // namespace weir::proxy::scripted
