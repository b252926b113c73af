// A LegEnd over a real socket, and its peer, which the test plays.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <string>
#include <string_view>

#include "net/places.h"
#include "proxy/leg_end.h"

namespace weir::proxy::live {

inline auto bytes_of(std::string_view text) -> std::span<const std::byte> { return std::as_bytes(std::span(text)); }

// A LegEnd and the descriptor of its peer.
class LegEndScene : public testing::Test {
 protected:
  LegEndScene() {
    ::signal(SIGPIPE, SIG_IGN);  // as the program does: splice(2) has no MSG_NOSIGNAL
    const Fd listener = kernel_.listen(Address::parse_ip("127.0.0.1", 0).value(), {}).value();
    auto connecting = kernel_.connect(net::local_address(listener.get()).value(), {}).value();
    net::test::wait_until([&] {
      peer_.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return peer_ && net::connect_outcome(connecting.fd.get()) == 0;
    });
    end_ = LegEnd(std::move(connecting.fd), true);
  }
  void use_unix_sockets() {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
    end_ = LegEnd(Fd(fds[0]), false);
    peer_.reset(fds[1]);
  }
  void peer_sends(std::string_view text) {
    ASSERT_EQ(::send(peer_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  void peer_resets() {
    net::reset_on_close(peer_.get());
    peer_.reset();
    ASSERT_TRUE(net::test::wait_until([&] { return (end_events() & POLLHUP) != 0; }));
  }
  auto end_events() -> int {
    pollfd ready{.fd = end_.fd(), .events = POLLIN | POLLOUT, .revents = 0};
    ::poll(&ready, 1, 0);
    return ready.revents;
  }
  // A read that waits for what the kernel has on the way.
  auto read() -> ReadResult {
    ReadResult result;
    net::test::wait_until([&] { return (result = end_.read(buffer_)).status != IoStatus::would_block; });
    return result;
  }
  auto text(const ReadResult& result) -> std::string {
    return {reinterpret_cast<const char*>(buffer_.data()), result.bytes};
  }
  // What the peer reads: its bytes, "FIN" or "RST".
  auto peer_reads() -> std::string {
    std::array<char, 4096> got{};
    ssize_t n = -1;
    net::test::wait_until([&] { return (n = ::recv(peer_.get(), got.data(), got.size(), 0)) >= 0 || errno != EAGAIN; });
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
  LegEnd end_;
  Fd peer_;
  std::array<std::byte, 4096> buffer_{};
  TransmitStamps stamps_;
};

}  // namespace weir::proxy::live
