#include "proxy/leg_end.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <string>

#include "proxy/leg_end_scene.h"
#include "proxy/pipe_pool.h"

namespace weir::proxy {
namespace {

using live::bytes_of;
using net::test::wait_until;

using LegEndTest = live::LegEndScene;

TEST_F(LegEndTest, ReadsWhatIsThereAndSaysWhenNothingIs) {
  EXPECT_EQ(end_.read(buffer_).status, IoStatus::would_block);
  peer_sends("hello");
  const ReadResult result = read();
  EXPECT_EQ(result.status, IoStatus::ok);
  EXPECT_EQ(text(result), "hello");
  EXPECT_EQ(end_.read(buffer_).status, IoStatus::would_block);
}

TEST_F(LegEndTest, TellsAnEndFromAReset) {
  ::shutdown(peer_.get(), SHUT_WR);
  EXPECT_EQ(read().status, IoStatus::end);
  peer_resets();
  const IoResult write = end_.write(bytes_of("x"));
  EXPECT_EQ(write.status, IoStatus::broken);
  EXPECT_EQ(write.error, EPIPE) << "and no signal came";
}

TEST_F(LegEndTest, AResetIsReadAsOne) {
  peer_sends("last words");
  peer_resets();
  EXPECT_TRUE(end_.dead());
  EXPECT_EQ(text(read()), "last words");
  const ReadResult result = read();
  EXPECT_EQ(result.status, IoStatus::broken);
  EXPECT_EQ(result.error, ECONNRESET);
}

TEST_F(LegEndTest, DrainingNoticesLeavesAResetForTheRead) {
  peer_resets();
  EXPECT_TRUE(end_events() & POLLERR);
  EXPECT_EQ(end_.drain_notices(stamps_), 0u);
  EXPECT_EQ(read().error, ECONNRESET);
}

// A Unix peer that closes with bytes unread resets, too, and there recvmsg(MSG_ERRQUEUE) reads the stream.
TEST_F(LegEndTest, DrainingNoticesLeavesAUnixSocketsResetForTheRead) {
  use_unix_sockets();
  EXPECT_EQ(end_.write(bytes_of("unread")).bytes, 6u);
  peer_.reset();
  EXPECT_TRUE(end_events() & POLLERR);
  EXPECT_EQ(end_.drain_notices(stamps_), 0u);
  const ReadResult result = end_.read(buffer_);
  EXPECT_EQ(result.status, IoStatus::broken);
  EXPECT_EQ(result.error, ECONNRESET);
}

TEST_F(LegEndTest, DrainingNoticesOfAnEndedUnixPeerReturns) {
  use_unix_sockets();
  peer_.reset();
  EXPECT_EQ(end_.drain_notices(stamps_), 0u);
  EXPECT_EQ(end_.read(buffer_).status, IoStatus::end);
}

TEST_F(LegEndTest, WritesWhatTheKernelTakesAndKnowsWhatIsUnsent) {
  EXPECT_EQ(end_.unsent(), 0u);
  const std::size_t taken = fill();
  EXPECT_GT(taken, 0u);
  EXPECT_GT(end_.unsent(), 0u);
  EXPECT_LE(end_.unsent(), taken);
}

TEST_F(LegEndTest, ClosingTheWritingSideIsAnEndForThePeerOnly) {
  EXPECT_EQ(end_.close_write().status, IoStatus::ok);
  EXPECT_EQ(peer_reads(), "FIN");
  peer_sends("answer");
  EXPECT_EQ(text(read()), "answer");
}

TEST_F(LegEndTest, ClosingTheWritingSideAfterAResetLeavesItToTheRead) {
  peer_resets();
  EXPECT_EQ(end_.close_write().status, IoStatus::ok);
  EXPECT_EQ(read().error, ECONNRESET);
}

TEST_F(LegEndTest, CloseIsAnEndAndResetIsAReset) {
  end_.close();
  EXPECT_FALSE(end_.is_open());
  EXPECT_EQ(peer_reads(), "FIN");
}

TEST_F(LegEndTest, ResetIsAResetAndLeavesTheUnsentBehind) {
  (void)fill();
  end_.reset();
  EXPECT_FALSE(end_.is_open());
  std::string last = "x";
  while (last.starts_with('x')) last = peer_reads();
  EXPECT_EQ(last, "RST");
}

TEST_F(LegEndTest, AUnixSocketsResetIsItsClose) {
  use_unix_sockets();
  end_.reset();
  EXPECT_EQ(peer_reads(), "FIN");
  EXPECT_FALSE(end_.dead());
}

TEST_F(LegEndTest, SplicesThroughAPipe) {
  const auto pipe = KernelPipe::create();
  ASSERT_NE(pipe, nullptr);
  EXPECT_EQ(end_.splice_in(*pipe, 4096).status, IoStatus::would_block);
  peer_sends("through the kernel");
  IoResult moved;
  ASSERT_TRUE(wait_until([&] { return (moved = end_.splice_in(*pipe, 4096)).status != IoStatus::would_block; }));
  EXPECT_EQ(moved.bytes, 18u);
  EXPECT_EQ(pipe->bytes(), 18u);
  EXPECT_EQ(end_.splice_out(*pipe).bytes, 18u);
  EXPECT_EQ(pipe->bytes(), 0u);
  EXPECT_EQ(peer_reads(), "through the kernel");
}

TEST_F(LegEndTest, SplicingTellsEndsAndResetsToo) {
  const auto pipe = KernelPipe::create();
  peer_sends("x");
  ASSERT_TRUE(wait_until([&] { return end_.splice_in(*pipe, 1).status == IoStatus::ok; }));
  peer_resets();
  const IoResult in = end_.splice_in(*pipe, 1);
  EXPECT_EQ(in.status, IoStatus::broken);
  EXPECT_EQ(in.error, ECONNRESET);
  const IoResult out = end_.splice_out(*pipe);
  EXPECT_EQ(out.status, IoStatus::broken);
  EXPECT_EQ(pipe->bytes(), 1u);
}

TEST_F(LegEndTest, SplicingReadsAnEnd) {
  const auto pipe = KernelPipe::create();
  ::shutdown(peer_.get(), SHUT_WR);
  ASSERT_TRUE(wait_until([&] { return end_.splice_in(*pipe, 1).status != IoStatus::would_block; }));
  EXPECT_EQ(end_.splice_in(*pipe, 1).status, IoStatus::end);
}

TEST_F(LegEndTest, ASinkThatTakesNoMoreLeavesTheRestInThePipe) {
  const auto pipe = KernelPipe::create();
  peer_sends("waits");
  ASSERT_TRUE(wait_until([&] { return end_.splice_in(*pipe, 5).status == IoStatus::ok; }));
  (void)fill();
  EXPECT_EQ(end_.splice_out(*pipe).status, IoStatus::would_block);
  EXPECT_EQ(pipe->bytes(), 5u);
}

}  // namespace
}  // namespace weir::proxy
