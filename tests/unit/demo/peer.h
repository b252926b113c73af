#pragma once

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "demo/sockets.h"

namespace weir::demo::test {

// A blocking peer of a test. Every wait is bounded: after five seconds it fails instead of hanging.
class Peer {
 public:
  explicit Peer(Fd socket) : socket_(std::move(socket)) {
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    static_cast<void>(::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit));
    static_cast<void>(::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit));
  }
  static auto connected_to(std::uint16_t port) -> Peer {
    return Peer(connect_to(loopback(port), std::chrono::seconds(5)).value());
  }

  // true if the kernel took all of it.
  auto send(std::string_view bytes) const -> bool {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  // `count` bytes; fewer if the stream ended, was reset or stood still for five seconds.
  auto receive(std::size_t count) const -> std::string {
    std::string bytes(count, '\0');
    std::size_t have = 0;
    while (have < count) {
      const ssize_t got = ::recv(socket_.get(), bytes.data() + have, count - have, 0);
      if (got <= 0) break;
      have += static_cast<std::size_t>(got);
    }
    bytes.resize(have);
    return bytes;
  }
  // true if the peer has sent FIN and nothing before it.
  [[nodiscard]] auto at_end() const -> bool {
    char byte = 0;
    return ::recv(socket_.get(), &byte, 1, 0) == 0;
  }
  // true if nothing has come, FIN included; does not wait.
  [[nodiscard]] auto hears_nothing() const -> bool {
    char byte = 0;
    return ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
  }
  [[nodiscard]] auto socket() const -> int { return socket_.get(); }
  void end_sending() const { ::shutdown(socket_.get(), SHUT_WR); }
  void reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    static_cast<void>(::setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    socket_.reset();
  }
  void close() { socket_.reset(); }

 private:
  Fd socket_;
};

}  // namespace weir::demo::test
