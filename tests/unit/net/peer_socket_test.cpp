#include "net/peer_socket.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "net/places.h"
#include "net/socket.h"
#include "net/socket_owner.h"

namespace weir::net {
namespace {

using test::wait_until;

// A connection over loopback of which both ends are here: `client` asks, `accepted` is the server's.
class PeerSocketTest : public testing::Test {
 protected:
  void listen(const char* host) {
    listener = sockets.listen(Address::parse_ip(host, 0).value(), {}).value();
    server = local_address(listener.get()).value();
  }
  void connect() {
    client = std::move(sockets.connect(server, {}).value().fd);
    wait_until([&] { return connect_outcome(client.get()) == 0; });
    own = local_address(client.get()).value();
  }
  void accept() {
    wait_until([&] {
      accepted.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      return static_cast<bool>(accepted);
    });
  }
  // The server's end, as the client's host sees it.
  auto look() -> std::optional<PeerSocket> { return peers.find(server, own).value(); }

  KernelSockets sockets;
  PeerSockets peers = PeerSockets::open().value();
  Fd listener;
  Fd client;
  Fd accepted;
  Address server;
  Address own;
};

TEST_F(PeerSocketTest, TellsWhoHoldsARequest) {
  for (const char* host : {"127.0.0.1", "::1"}) {
    listen(host);
    connect();
    ASSERT_EQ(::send(client.get(), "request", 7, 0), 7);
    ASSERT_TRUE(look()) << host;
    EXPECT_EQ(look()->state, TcpState::established);
    EXPECT_EQ(look()->receive_queue, 7u);
    EXPECT_EQ(look()->inode, 0u) << "nobody has accepted it";
    accept();
    struct stat about {};
    ASSERT_EQ(::fstat(accepted.get(), &about), 0);
    EXPECT_EQ(look()->inode, about.st_ino);
    EXPECT_EQ(look()->receive_queue, 7u) << "and nobody has read it";
    std::array<char, 16> buffer{};
    ASSERT_EQ(::recv(accepted.get(), buffer.data(), buffer.size(), 0), 7);
    EXPECT_EQ(look()->receive_queue, 0u);
    EXPECT_EQ(look()->send_queue, 0u);
    EXPECT_GT(look()->congestion_window, 0u);
    EXPECT_GT(look()->peer_window, 0u);
    EXPECT_GE(look()->send_mss, 536u);
    ASSERT_EQ(::shutdown(client.get(), SHUT_WR), 0);
    wait_until([&] { return look()->state == TcpState::close_wait; });
    EXPECT_EQ(look()->receive_queue, 0u) << "the end of the stream is no byte";
  }
}

TEST_F(PeerSocketTest, ShowsWhatACorkHoldsBack) {
  listen("127.0.0.1");
  connect();
  accept();
  const int on = 1;
  ASSERT_EQ(::setsockopt(accepted.get(), IPPROTO_TCP, TCP_CORK, &on, sizeof on), 0);
  ASSERT_EQ(::send(accepted.get(), "answer", 6, 0), 6);
  EXPECT_EQ(look()->unsent_bytes, 6u);
  EXPECT_EQ(look()->send_queue, 6u);
  EXPECT_EQ(look()->unacknowledged, 0u);
}

TEST_F(PeerSocketTest, FindsTheListenerWhereThereIsNoSuchConnection) {
  listen("127.0.0.1");
  connect();
  const auto anywhere = Address::parse_ip("0.0.0.0", 0).value();
  auto found = peers.find(server, anywhere).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, TcpState::listening);
  wait_until([&] { return peers.find(server, anywhere).value()->receive_queue == 1; });
  EXPECT_GT(peers.find(server, anywhere).value()->send_queue, 0u) << "its backlog";
}

TEST_F(PeerSocketTest, FindsNothingWhereNobodyIs) {
  listen("127.0.0.1");
  listener.reset();
  EXPECT_FALSE(peers.find(server, Address::parse_ip("127.0.0.1", 1).value()).value());
  EXPECT_FALSE(peers.find(server, Address::parse_ip("::1", 1).value()).value()) << "no connection has two families";
  EXPECT_FALSE(peers.find(Address(Address::Unix{"@x"}), server).value());
}

TEST_F(PeerSocketTest, KnowsTheAddressesOfThisHost) {
  EXPECT_TRUE(is_local(Address::parse_ip("127.0.0.1", 1).value()));
  EXPECT_TRUE(is_local(Address::parse_ip("127.9.9.9", 1).value()));
  EXPECT_FALSE(is_local(Address::parse_ip("192.0.2.1", 1).value())) << "a documentation address (RFC 5737)";
  EXPECT_FALSE(is_local(Address(Address::Unix{"@x"})));
}

TEST_F(PeerSocketTest, FindsTheProcessOfASocket) {
  listen("127.0.0.1");
  struct stat about {};
  ASSERT_EQ(::fstat(listener.get(), &about), 0);
  SocketOwners owners;
  const MonoTime now{std::chrono::seconds{1000}};
  const auto inode = static_cast<std::uint32_t>(about.st_ino);
  EXPECT_FALSE(owners.find(0, now));
  const auto found = owners.find(inode, now);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->pid, static_cast<std::uint32_t>(::getpid()));
  EXPECT_EQ(found->state, 'R');
  EXPECT_GE(found->threads, 1u);
  listener.reset();
  EXPECT_FALSE(owners.find(inode + 1'000'000, now)) << "nobody's";
  listen("127.0.0.1");
  ASSERT_EQ(::fstat(listener.get(), &about), 0);
  EXPECT_TRUE(owners.find(static_cast<std::uint32_t>(about.st_ino), now)) << "those known are asked without a scan";
}

}  // namespace
}  // namespace weir::net
