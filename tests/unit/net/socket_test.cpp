#include "net/socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <string>
#include <thread>

#include "net/places.h"

namespace weir::net {
namespace {

using namespace std::chrono_literals;
using test::Folder;
using test::wait_until;

auto loopback(std::uint16_t port = 0) -> Address { return Address::parse_ip("127.0.0.1", port).value(); }

auto option(const Fd& fd, int level, int name) -> int {
  int value = -1;
  socklen_t length = sizeof value;
  EXPECT_EQ(::getsockopt(fd.get(), level, name, &value, &length), 0);
  return value;
}

auto accept_one(const Fd& listener) -> Fd {
  Fd accepted;
  wait_until([&] {
    accepted.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    return static_cast<bool>(accepted);
  });
  EXPECT_TRUE(accepted);
  return accepted;
}

auto read_once(const Fd& fd) -> std::pair<ssize_t, int> {
  std::array<char, 64> buffer{};
  ssize_t n = -1;
  wait_until([&] {
    n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    return n >= 0 || errno != EAGAIN;
  });
  return {n, n < 0 ? errno : 0};
}

class SocketTest : public testing::Test {
 protected:
  auto listen(const Address& address = loopback(), const StreamOptions& options = {}) -> Fd {
    auto fd = sockets_.listen(address, options);
    EXPECT_TRUE(fd) << fd.error().message;
    return fd ? *std::move(fd) : Fd();
  }
  auto listen_error(const Address& address) -> std::string {
    const auto fd = sockets_.listen(address, {});
    return fd ? "it listens" : fd.error().message;
  }
  KernelSockets sockets_;
  Folder folder_;
};

TEST_F(SocketTest, ListensWithoutBlockingAndLeavesNothingToChildren) {
  const Fd fd = listen();
  EXPECT_TRUE(::fcntl(fd.get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
  EXPECT_GT(local_address(fd.get()).value().port(), 0) << "port 0 picks one";
}

TEST_F(SocketTest, APortInUseIsASentenceWithAWayOut) {
  const Fd first = listen();
  const Address taken = local_address(first.get()).value();
  const auto second = sockets_.listen(taken, {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, fmt::format("cannot listen on 127.0.0.1:{}: Address already in use (another weir? "
                                                "port 0 picks a free one)",
                                                taken.port()));
  EXPECT_EQ(second.error().code, EADDRINUSE);
}

TEST_F(SocketTest, APortJustLeftCanBeTakenAgainAtOnce) {
  Address where;
  {
    const Fd first = listen();
    where = local_address(first.get()).value();
    auto client = sockets_.connect(where, {}).value();
    const Fd server = accept_one(first);  // closes first: TIME_WAIT is at our side
  }
  EXPECT_TRUE(sockets_.listen(where, {}));
}

TEST_F(SocketTest, AnAddressThatIsNotHereIsASentence) {
  EXPECT_EQ(listen_error(Address::parse_ip("192.0.2.1", 0).value()),
            "cannot listen on 192.0.2.1:0: Cannot assign requested address (no interface here has this address; use "
            ":PORT for all)");
}

TEST_F(SocketTest, APortBelowTheLimitNeedsAPermission) {
  if (test::unprivileged_port_start() <= 1) GTEST_SKIP() << "this system lets everybody listen on low ports";
  std::string message;
  if (!test::as_nobody([&] { message = listen_error(loopback(1)); })) message = listen_error(loopback(1));
  EXPECT_EQ(message,
            "cannot listen on 127.0.0.1:1: Permission denied (a port below net.ipv4.ip_unprivileged_port_start needs "
            "root or CAP_NET_BIND_SERVICE; choose a higher one)");
}

TEST_F(SocketTest, AUnixPathInAForeignDirectoryIsASentence) {
  std::string message;
  const std::string path = folder_.path("x.sock");
  if (!test::as_nobody([&] { message = listen_error(Address(Address::Unix{path})); })) {
    GTEST_SKIP() << "there is no foreign directory for one who is not root";
  }
  EXPECT_EQ(message, "cannot listen on unix:" + path +
                         ": Permission denied (no permission to create a file there; choose another path)");
}

TEST_F(SocketTest, AUnixPathInNoDirectoryIsASentence) {
  const std::string path = folder_.path("none/x.sock");
  EXPECT_EQ(
      listen_error(Address(Address::Unix{path})),
      "cannot listen on unix:" + path + ": No such file or directory (its directory does not exist; create it first)");
}

TEST_F(SocketTest, AStaleUnixSocketIsReplaced) {
  const Address address(Address::Unix{folder_.path("x.sock")});
  listen(address).reset();  // as if killed: the file stays
  struct stat info {};
  ASSERT_EQ(::lstat(folder_.path("x.sock").c_str(), &info), 0);
  const Fd again = listen(address);
  EXPECT_TRUE(sockets_.connect(address, {}).value().done);
}

TEST_F(SocketTest, ALiveUnixSocketIsNot) {
  const Address address(Address::Unix{folder_.path("x.sock")});
  const Fd live = listen(address);
  EXPECT_EQ(listen_error(address), "cannot listen on unix:" + folder_.path("x.sock") +
                                       ": Address already in use (another weir? choose another path)");
  EXPECT_TRUE(sockets_.connect(address, {})) << "and it still answers";
}

TEST_F(SocketTest, ALiveUnixSocketWithAFullQueueIsNotEither) {
  const Address address(Address::Unix{folder_.path("x.sock")});
  const test::FullListener live(address);
  EXPECT_EQ(listen_error(address), "cannot listen on unix:" + folder_.path("x.sock") +
                                       ": Address already in use (another weir? choose another path)");
  struct stat info {};
  EXPECT_EQ(::lstat(folder_.path("x.sock").c_str(), &info), 0) << "its file is still there";
}

TEST_F(SocketTest, AFileThatIsNoSocketIsLeftAlone) {
  const std::string path = folder_.path("notes.txt");
  folder_.write("notes.txt", "precious");
  EXPECT_EQ(listen_error(Address(Address::Unix{path})),
            "cannot listen on unix:" + path + ": Address already in use (another weir? choose another path)");
  EXPECT_EQ(folder_.read("notes.txt"), "precious");
}

TEST_F(SocketTest, AnAbstractUnixSocketNeedsNoFile) {
  const Address address(Address::Unix{"@weir-test-" + std::to_string(::getpid())});
  const Fd live = listen(address);
  EXPECT_TRUE(sockets_.connect(address, {}).value().done);
  EXPECT_EQ(sockets_.listen(address, {}).error().code, EADDRINUSE);
}

TEST_F(SocketTest, OnePortCanServeBothFamilies) {
  const auto v6 = sockets_.listen(Address::parse_ip("::", 0).value(), {});
  if (!v6 && v6.error().code == EAFNOSUPPORT) GTEST_SKIP() << "no IPv6 here: " << v6.error().message;
  const std::uint16_t port = local_address(v6.value().get()).value().port();
  EXPECT_TRUE(sockets_.listen(Address::parse_ip("0.0.0.0", port).value(), {}));
}

const StreamOptions all_options{
    .user_timeout = 12'345'678us, .keepalive_idle = 61'500ms, .keepalive_interval = 14s, .keepalive_count = 3};

void expect_all_options(const Fd& fd) {
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_OOBINLINE), 1);
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 12346) << "rounded up to milliseconds";
  EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 62) << "rounded up to seconds";
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 14);
  EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
}

TEST_F(SocketTest, BothLegsGetEveryOptionTheAcceptedOneByInheritance) {
  const Fd listener = listen(loopback(), all_options);
  const auto connecting = sockets_.connect(local_address(listener.get()).value(), all_options).value();
  const Fd accepted = accept_one(listener);
  {
    SCOPED_TRACE("the server leg");
    expect_all_options(connecting.fd);
  }
  SCOPED_TRACE("the client leg");
  expect_all_options(accepted);
}

TEST_F(SocketTest, WhatIsOffIsLeftAsTheSystemHasIt) {
  const Fd plain(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd ours = listen();
  EXPECT_EQ(option(ours, SOL_SOCKET, SO_KEEPALIVE), 0);
  EXPECT_EQ(option(ours, IPPROTO_TCP, TCP_USER_TIMEOUT), option(plain, IPPROTO_TCP, TCP_USER_TIMEOUT));
  EXPECT_EQ(option(ours, IPPROTO_TCP, TCP_NODELAY), 1) << "that one is not a matter of taste";
  EXPECT_EQ(option(ours, SOL_SOCKET, SO_OOBINLINE), 1);
}

TEST_F(SocketTest, AListenerThatIsChangedGivesNewOptionsToWhomItAccepts) {
  const Fd fresh = listen();
  const auto come = [&](const Fd& listener) {
    const auto client = sockets_.connect(local_address(listener.get()).value(), {}).value();
    return accept_one(listener);
  };
  change_stream_options(fresh.get(), all_options);
  expect_all_options(come(fresh));
  change_stream_options(fresh.get(), {});
  const Fd plain(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd accepted = come(fresh);
  EXPECT_EQ(option(accepted, SOL_SOCKET, SO_KEEPALIVE), 0);
  EXPECT_EQ(option(accepted, IPPROTO_TCP, TCP_USER_TIMEOUT), option(plain, IPPROTO_TCP, TCP_USER_TIMEOUT));
  EXPECT_EQ(option(accepted, IPPROTO_TCP, TCP_KEEPCNT), option(plain, IPPROTO_TCP, TCP_KEEPCNT));
  EXPECT_EQ(option(accepted, IPPROTO_TCP, TCP_NODELAY), 1);
}

TEST_F(SocketTest, AnOptionTheKernelRefusesIsNamed) {
  const auto refused = sockets_.listen(loopback(), {.user_timeout = {}, .keepalive_idle = 10h, .keepalive_count = {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "cannot set TCP_KEEPIDLE to 36000: Invalid argument (see tcp(7) for its range)");
}

TEST_F(SocketTest, AUnixSocketTakesNoneAndMindsNone) {
  const Fd listener = listen(Address(Address::Unix{folder_.path("x.sock")}), all_options);
  EXPECT_TRUE(sockets_.connect(Address(Address::Unix{folder_.path("x.sock")}), all_options).value().done);
}

// Asks until the connect has an outcome.
auto outcome(const SocketFactory::Connecting& connecting) -> int {
  int error = EALREADY;
  wait_until([&] { return (error = connect_outcome(connecting.fd.get())) != EALREADY; });
  return error;
}

class Outcome : public SocketTest {
 protected:
  Fd listener_ = listen();
  Address address_ = local_address(listener_.get()).value();
};

TEST_F(Outcome, Connected) {
  const auto connecting = sockets_.connect(address_, {}).value();
  EXPECT_EQ(outcome(connecting), 0);
  EXPECT_EQ(connect_outcome(connecting.fd.get()), 0) << "may be asked again";
}

TEST_F(Outcome, ConnectedFromAnAddressThatWasChosen) {
  const Address from = Address::parse_ip("127.0.0.9", 0).value();
  const auto connecting = sockets_.connect(address_, {}, &from).value();
  EXPECT_EQ(outcome(connecting), 0);
  const Fd accepted = accept_one(listener_);
  EXPECT_EQ(peer_address(accepted.get()).value().host_string(), "127.0.0.9");
  EXPECT_NE(peer_address(accepted.get()).value().port(), 0);
}

TEST_F(Outcome, AnAddressThatIsNotOursCannotBeConnectedFrom) {
  const Address from = Address::parse_ip("192.0.2.1", 0).value();
  const auto connecting = sockets_.connect(address_, {}, &from);
  ASSERT_FALSE(connecting);
  EXPECT_EQ(connecting.error().message, "cannot connect from 192.0.2.1:0: Cannot assign requested address");
  EXPECT_EQ(connecting.error().code, EADDRNOTAVAIL);
}

TEST_F(Outcome, AConnectionThatWasNotRedirectedHasNoOtherDestination) {
  const auto connecting = sockets_.connect(address_, {}).value();
  const Fd accepted = accept_one(listener_);
  EXPECT_EQ(original_destination(accepted.get()), std::nullopt);
}

TEST_F(Outcome, Refused) {
  listener_.reset();
  const auto connecting = sockets_.connect(address_, {});
  if (!connecting) {
    EXPECT_EQ(connecting.error().message, address_.to_string() + ": Connection refused");
    return;
  }
  EXPECT_EQ(outcome(*connecting), ECONNREFUSED);
}

TEST_F(Outcome, StillUnderWay) {
  const test::FullListener full(loopback());
  const auto connecting = sockets_.connect(full.address(), {}).value();
  EXPECT_FALSE(connecting.done);
  EXPECT_EQ(connect_outcome(connecting.fd.get()), EALREADY);
}

TEST_F(Outcome, AcceptedAndResetAtOnceSaysSo) {
  const auto connecting = sockets_.connect(address_, {}).value();
  if (connecting.done) GTEST_SKIP() << "this kernel connects to loopback within the call";
  Fd accepted = accept_one(listener_);
  reset_on_close(accepted.get());
  accepted.reset();
  wait_until([&] { return connection_is_dead(connecting.fd.get()); });
  EXPECT_EQ(connect_outcome(connecting.fd.get()), ECONNRESET);
}

TEST_F(Outcome, WhatAPeerSaidBeforeItResetIsStillThereToBeRead) {
  const auto connecting = sockets_.connect(address_, {}).value();
  if (connecting.done) GTEST_SKIP() << "this kernel connects to loopback within the call";
  Fd accepted = accept_one(listener_);
  ASSERT_EQ(::send(accepted.get(), "sorry", 5, MSG_NOSIGNAL), 5);
  reset_on_close(accepted.get());
  accepted.reset();
  wait_until([&] { return connection_is_dead(connecting.fd.get()); });
  EXPECT_EQ(connect_outcome(connecting.fd.get()), 0);
  EXPECT_EQ(read_once(connecting.fd), (std::pair<ssize_t, int>{5, 0}));
  EXPECT_EQ(read_once(connecting.fd), (std::pair<ssize_t, int>{-1, ECONNRESET})) << "and so is the reset";
}

TEST_F(Outcome, EndedAndResetAtOnceIsConnected) {
  const auto connecting = sockets_.connect(address_, {}).value();
  if (connecting.done) GTEST_SKIP() << "this kernel connects to loopback within the call";
  Fd accepted = accept_one(listener_);
  ::shutdown(accepted.get(), SHUT_WR);
  reset_on_close(accepted.get());
  accepted.reset();
  wait_until([&] { return connection_is_dead(connecting.fd.get()); });
  EXPECT_EQ(connect_outcome(connecting.fd.get()), 0);
  EXPECT_EQ(read_once(connecting.fd), (std::pair<ssize_t, int>{0, 0}));
}

TEST_F(Outcome, AMissingUnixPathIsAnErrorWithItsName) {
  const Address nobody(Address::Unix{folder_.path("x.sock")});
  const auto connecting = sockets_.connect(nobody, {});
  ASSERT_FALSE(connecting);
  EXPECT_EQ(connecting.error().message, "unix:" + folder_.path("x.sock") + ": No such file or directory");
  EXPECT_EQ(connecting.error().code, ENOENT);
}

TEST_F(Outcome, AFullUnixListenerSaysTryAgain) {
  const test::FullListener full(Address(Address::Unix{folder_.path("x.sock")}));
  const auto connecting = sockets_.connect(full.address(), {});
  ASSERT_FALSE(connecting);
  EXPECT_EQ(connecting.error().code, EAGAIN);
}

class Connected : public Outcome {
 protected:
  Connected() : client_(std::move(sockets_.connect(address_, {}).value().fd)), server_(accept_one(listener_)) {
    wait_until([&] { return connect_outcome(client_.get()) == 0; });
  }
  Fd client_;
  Fd server_;
};

TEST_F(Connected, TheAddressesAreThoseOfThePeers) {
  EXPECT_EQ(peer_address(client_.get()).value(), address_);
  EXPECT_EQ(peer_address(server_.get()).value(), local_address(client_.get()).value());
}

TEST_F(Connected, UnsentBytesFallToZeroAsThePeerTakesThem) {
  EXPECT_EQ(unsent_bytes(client_.get()), 0u);
  const std::string block(64 * 1024, 'x');
  std::size_t sent = 0;
  while (true) {
    const ssize_t n = ::send(client_.get(), block.data(), block.size(), MSG_NOSIGNAL);
    if (n < 0) break;
    sent += static_cast<std::size_t>(n);
  }
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_GT(unsent_bytes(client_.get()), 0u) << "more than the peer's kernel has room for";
  std::string buffer(256 * 1024, '\0');
  std::size_t got = 0;
  EXPECT_TRUE(wait_until([&] {
    const ssize_t n = ::recv(server_.get(), buffer.data(), buffer.size(), 0);
    if (n > 0) got += static_cast<std::size_t>(n);
    return got == sent;
  }));
  EXPECT_TRUE(wait_until([&] { return unsent_bytes(client_.get()) == 0; }));
}

TEST_F(Connected, AskingWhetherItIsDeadTakesNothingFromTheNextRead) {
  EXPECT_FALSE(connection_is_dead(client_.get()));
  reset_on_close(server_.get());
  server_.reset();
  ASSERT_TRUE(wait_until([&] { return connection_is_dead(client_.get()); }));
  EXPECT_TRUE(connection_is_dead(client_.get()));
  EXPECT_EQ(read_once(client_), (std::pair<ssize_t, int>{-1, ECONNRESET}));
}

TEST_F(Connected, WhoHasEndedOneDirectionIsNotDead) {
  ::shutdown(server_.get(), SHUT_WR);
  EXPECT_EQ(read_once(client_), (std::pair<ssize_t, int>{0, 0}));
  EXPECT_FALSE(connection_is_dead(client_.get()));
}

TEST_F(SocketTest, AUnixSocketIsNeverDead) {
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
  const Fd ours(fds[0]);
  Fd(fds[1]).reset();
  EXPECT_FALSE(connection_is_dead(ours.get()));
}

TEST_F(SocketTest, NoSocketHasNothingUnsent) { EXPECT_EQ(unsent_bytes(-1), 0u); }

TEST_F(SocketTest, AProxyCanStandInAnotherNetworkNamespace) {
  const Fd elsewhere = test::network_namespace();
  if (!elsewhere) GTEST_SKIP() << "needs CAP_SYS_ADMIN to make a network namespace";
  const std::string home = test::this_threads_namespace();
  KernelSockets there(elsewhere.get());
  const Fd listener = there.listen(loopback(), {}).value();
  const Address address = local_address(listener.get()).value();
  EXPECT_EQ(test::this_threads_namespace(), home) << "the thread came back";

  const auto inside = there.connect(address, {}).value();
  EXPECT_TRUE(accept_one(listener));
  const auto outside = sockets_.connect(address, {});
  EXPECT_EQ(outside ? outcome(*outside) : outside.error().code, ECONNREFUSED) << "here nobody listens on that port";
}

TEST_F(SocketTest, WhatIsNoNetworkNamespaceIsASentence) {
  const Fd not_one = folder_.open();
  KernelSockets there(not_one.get());
  EXPECT_EQ(there.listen(loopback(), {}).error().message, "cannot enter the network namespace: Invalid argument");
  EXPECT_EQ(there.connect(loopback(1), {}).error().code, EINVAL);
}

}  // namespace
}  // namespace weir::net
