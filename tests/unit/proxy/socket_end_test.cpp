#include "proxy/socket_end.h"

#include <gtest/gtest.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <string>

#include "net/places.h"
#include "proxy/pipe_pool.h"

namespace weir::proxy {
namespace {

using net::test::wait_until;

auto bytes_of(std::string_view text) -> std::span<const std::byte> { return std::as_bytes(std::span(text)); }

// A SocketEnd and the descriptor of its peer.
class SocketEndTest : public testing::Test {
 protected:
  SocketEndTest() {
    ::signal(SIGPIPE, SIG_IGN);  // as the program does: splice(2) has no MSG_NOSIGNAL
    const Fd listener = kernel_.listen(Address::parse_ip("127.0.0.1", 0).value(), {}).value();
    auto connecting = kernel_.connect(net::local_address(listener.get()).value(), {}).value();
    wait_until([&] {
      peer_.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return peer_ && net::connect_outcome(connecting.fd.get()) == 0;
    });
    end_ = SocketEnd(std::move(connecting.fd), true);
  }
  void use_unix_sockets() {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
    end_ = SocketEnd(Fd(fds[0]), false);
    peer_.reset(fds[1]);
  }
  void peer_sends(std::string_view text) {
    ASSERT_EQ(::send(peer_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  void peer_resets() {
    net::reset_on_close(peer_.get());
    peer_.reset();
    ASSERT_TRUE(wait_until([&] { return (end_events() & POLLHUP) != 0; }));
  }
  auto end_events() -> int {
    pollfd ready{.fd = end_.fd(), .events = POLLIN | POLLOUT, .revents = 0};
    ::poll(&ready, 1, 0);
    return ready.revents;
  }
  // A read that waits for what the kernel has on the way.
  auto read() -> ReadResult {
    ReadResult result;
    wait_until([&] { return (result = end_.read(buffer_)).status != IoStatus::would_block; });
    return result;
  }
  auto text(const ReadResult& result) -> std::string {
    return {reinterpret_cast<const char*>(buffer_.data()), result.bytes};
  }
  // What the peer reads: its bytes, "FIN" or "RST".
  auto peer_reads() -> std::string {
    std::array<char, 4096> got{};
    ssize_t n = -1;
    wait_until([&] { return (n = ::recv(peer_.get(), got.data(), got.size(), 0)) >= 0 || errno != EAGAIN; });
    if (n < 0) return errno == ECONNRESET ? "RST" : errno_text(errno);
    return n == 0 ? "FIN" : std::string(got.data(), static_cast<std::size_t>(n));
  }
  // Until the kernel takes no more; returns how much it took.
  auto fill() -> std::size_t {
    const std::string block(256 * 1024, 'x');
    std::size_t taken = 0;
    while (true) {
      const IoResult result = end_.write(bytes_of(block));
      taken += result.bytes;
      if (result.status != IoStatus::ok) return taken;
    }
  }

  net::KernelSockets kernel_;
  SocketEnd end_;
  Fd peer_;
  std::array<std::byte, 4096> buffer_{};
};

TEST_F(SocketEndTest, ReadsWhatIsThereAndSaysWhenNothingIs) {
  EXPECT_EQ(end_.read(buffer_).status, IoStatus::would_block);
  peer_sends("hello");
  const ReadResult result = read();
  EXPECT_EQ(result.status, IoStatus::ok);
  EXPECT_EQ(text(result), "hello");
  EXPECT_EQ(end_.read(buffer_).status, IoStatus::would_block);
}

TEST_F(SocketEndTest, TellsAnEndFromAReset) {
  ::shutdown(peer_.get(), SHUT_WR);
  EXPECT_EQ(read().status, IoStatus::end);
  peer_resets();
  const IoResult write = end_.write(bytes_of("x"));
  EXPECT_EQ(write.status, IoStatus::broken);
  EXPECT_EQ(write.error, EPIPE) << "and no signal came";
}

TEST_F(SocketEndTest, AResetIsReadAsOne) {
  peer_sends("last words");
  peer_resets();
  EXPECT_TRUE(end_.dead());
  EXPECT_EQ(text(read()), "last words");
  const ReadResult result = read();
  EXPECT_EQ(result.status, IoStatus::broken);
  EXPECT_EQ(result.error, ECONNRESET);
}

TEST_F(SocketEndTest, DrainingNoticesLeavesAResetForTheRead) {
  peer_resets();
  EXPECT_TRUE(end_events() & POLLERR);
  end_.drain_notices();
  EXPECT_EQ(read().error, ECONNRESET);
}

// A Unix peer that closes with bytes unread resets, too, and there recvmsg(MSG_ERRQUEUE) reads the stream.
TEST_F(SocketEndTest, DrainingNoticesLeavesAUnixSocketsResetForTheRead) {
  use_unix_sockets();
  EXPECT_EQ(end_.write(bytes_of("unread")).bytes, 6u);
  peer_.reset();
  EXPECT_TRUE(end_events() & POLLERR);
  end_.drain_notices();
  const ReadResult result = end_.read(buffer_);
  EXPECT_EQ(result.status, IoStatus::broken);
  EXPECT_EQ(result.error, ECONNRESET);
}

TEST_F(SocketEndTest, DrainingNoticesOfAnEndedUnixPeerReturns) {
  use_unix_sockets();
  peer_.reset();
  end_.drain_notices();
  EXPECT_EQ(end_.read(buffer_).status, IoStatus::end);
}

// A transmit timestamp raises the error flag on a healthy socket, for as long as it is not taken.
TEST_F(SocketEndTest, DrainingNoticesTakesTheErrorFlagOffAHealthySocket) {
  const int flags = SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY;
  if (::setsockopt(end_.fd(), SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags) != 0) {
    GTEST_SKIP() << "no timestamps here: " << errno_text(errno);
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(end_.write(bytes_of("hello")).bytes, 5u);
  ASSERT_TRUE(wait_until([&] { return end_.unsent() == 0 && (end_events() & POLLERR) != 0; }));
  end_.drain_notices();
  EXPECT_FALSE(end_events() & POLLERR);
  EXPECT_FALSE(end_.dead());
  peer_sends("still here");
  EXPECT_EQ(text(read()), "still here");
}

TEST_F(SocketEndTest, WritesWhatTheKernelTakesAndKnowsWhatIsUnsent) {
  EXPECT_EQ(end_.unsent(), 0u);
  const std::size_t taken = fill();
  EXPECT_GT(taken, 0u);
  EXPECT_GT(end_.unsent(), 0u);
  EXPECT_LE(end_.unsent(), taken);
}

TEST_F(SocketEndTest, ClosingTheWritingSideIsAnEndForThePeerOnly) {
  EXPECT_EQ(end_.close_write().status, IoStatus::ok);
  EXPECT_EQ(peer_reads(), "FIN");
  peer_sends("answer");
  EXPECT_EQ(text(read()), "answer");
}

TEST_F(SocketEndTest, ClosingTheWritingSideAfterAResetLeavesItToTheRead) {
  peer_resets();
  EXPECT_EQ(end_.close_write().status, IoStatus::ok);
  EXPECT_EQ(read().error, ECONNRESET);
}

TEST_F(SocketEndTest, CloseIsAnEndAndResetIsAReset) {
  end_.close();
  EXPECT_FALSE(end_.is_open());
  EXPECT_EQ(peer_reads(), "FIN");
}

TEST_F(SocketEndTest, ResetIsAResetAndLeavesTheUnsentBehind) {
  (void)fill();
  end_.reset();
  EXPECT_FALSE(end_.is_open());
  std::string last = "x";
  while (last.starts_with('x')) last = peer_reads();
  EXPECT_EQ(last, "RST");
}

TEST_F(SocketEndTest, AUnixSocketsResetIsItsClose) {
  use_unix_sockets();
  end_.reset();
  EXPECT_EQ(peer_reads(), "FIN");
  EXPECT_FALSE(end_.dead());
}

TEST_F(SocketEndTest, SplicesThroughAPipe) {
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

TEST_F(SocketEndTest, SplicingTellsEndsAndResetsToo) {
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

TEST_F(SocketEndTest, SplicingReadsAnEnd) {
  const auto pipe = KernelPipe::create();
  ::shutdown(peer_.get(), SHUT_WR);
  ASSERT_TRUE(wait_until([&] { return end_.splice_in(*pipe, 1).status != IoStatus::would_block; }));
  EXPECT_EQ(end_.splice_in(*pipe, 1).status, IoStatus::end);
}

TEST_F(SocketEndTest, ASinkThatTakesNoMoreLeavesTheRestInThePipe) {
  const auto pipe = KernelPipe::create();
  peer_sends("waits");
  ASSERT_TRUE(wait_until([&] { return end_.splice_in(*pipe, 5).status == IoStatus::ok; }));
  (void)fill();
  EXPECT_EQ(end_.splice_out(*pipe).status, IoStatus::would_block);
  EXPECT_EQ(pipe->bytes(), 5u);
}

}  // namespace
}  // namespace weir::proxy
