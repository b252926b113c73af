// The peer behind the proxy: answers exchanges, is a source and a sink of bulk, all on one port.
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <vector>

#include "load.h"
#include "load_json.h"
#include "load_socket.h"
#include "load_wire.h"

namespace weir::load {

namespace {

struct Connection {
  Fd fd;
  Header header;
  std::size_t header_have = 0;
  std::uint64_t received = 0;     // all bytes, header included
  std::uint64_t unanswered = 0;   // bytes of the exchange request that is still coming
  std::uint64_t owed = 0;         // bytes to send
  std::size_t chunk = max_chunk;  // of a read or a write
  bool endless = false;           // download until the client half-closes
  bool close_when_sent = false;
  bool wants_write = false;  // EPOLLOUT is armed
};

class Server {
 public:
  explicit Server(const std::string& address) : listener_(listen_on(address)) {
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    ::sigprocmask(SIG_BLOCK, &stop, nullptr);
    signals_ = Fd(::signalfd(-1, &stop, SFD_NONBLOCK | SFD_CLOEXEC));
    poller_.add(listener_, EPOLLIN, listener_word);
    poller_.add(signals_, EPOLLIN, signal_word);
  }

  [[nodiscard]] auto address() const -> std::string { return local_address(listener_); }

  void run() {
    for (;;) {
      for (const auto& event : poller_.wait_until(now_nanos() + 1'000'000'000)) {
        if (event.data.u64 == signal_word) return;
        if (event.data.u64 == listener_word) {
          accept_all();
          continue;
        }
        auto& slot = connections_[event.data.u64];
        if (slot == nullptr) continue;  // closed earlier in this turn
        if (!serve(*slot, event.events, event.data.u64)) {
          slot.reset();
          closed_.push_back(event.data.u64);
        }
      }
      // Slots are reused only after the turn, so that no stale event meets a new connection.
      free_.insert(free_.end(), closed_.begin(), closed_.end());
      closed_.clear();
    }
  }

 private:
  static constexpr std::uint64_t listener_word = ~std::uint64_t{0};
  static constexpr std::uint64_t signal_word = listener_word - 1;

  void accept_all() {
    for (int i = 0; i < 64; ++i) {
      Fd fd = accept_one(listener_);
      if (!fd) return;
      if (free_.empty()) {
        free_.push_back(connections_.size());
        connections_.emplace_back();
      }
      const std::uint64_t slot = free_.back();
      free_.pop_back();
      connections_[slot] = std::make_unique<Connection>();
      connections_[slot]->fd = std::move(fd);
      poller_.add(connections_[slot]->fd, EPOLLIN, slot);
    }
  }

  // False: close it.
  auto serve(Connection& connection, std::uint32_t events, std::uint64_t word) -> bool {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !receive(connection)) return false;
    return send_owed(connection, word);
  }

  auto receive(Connection& connection) -> bool {
    const ssize_t n = ::recv(connection.fd.get(), buffer_.data(), connection.chunk, 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return on_end(connection);
    return on_bytes(connection, buffer_.data(), static_cast<std::size_t>(n));
  }

  static auto on_end(Connection& connection) -> bool {
    if (connection.header_have < sizeof(Header) || connection.header.wish != Wish::upload) return false;
    if (connection.close_when_sent) return true;
    connection.owed = sizeof connection.received;
    connection.close_when_sent = true;
    return true;
  }

  static auto on_bytes(Connection& connection, const char* bytes, std::size_t n) -> bool {
    connection.received += n;
    std::size_t body = n;
    if (connection.header_have < sizeof(Header)) {
      const std::size_t take = std::min(n, sizeof(Header) - connection.header_have);
      std::memcpy(reinterpret_cast<char*>(&connection.header) + connection.header_have, bytes, take);
      connection.header_have += take;
      if (connection.header_have < sizeof(Header)) return true;
      body = n - take;
      if (!on_header(connection)) return false;
    }
    if (connection.header.wish != Wish::exchange) return true;
    while (body >= connection.unanswered) {
      body -= connection.unanswered;
      connection.unanswered = connection.header.request_size;
      connection.owed += connection.header.response_size;
    }
    connection.unanswered -= body;
    return true;
  }

  static auto on_header(Connection& connection) -> bool {
    const Header& header = connection.header;
    if (header.chunk > 0) connection.chunk = std::min(header.chunk, max_chunk);
    switch (header.wish) {
      case Wish::exchange:
        connection.unanswered = header.request_size - sizeof(Header);
        return header.request_size >= sizeof(Header) && header.request_size <= max_message &&
               header.response_size >= 1 && header.response_size <= max_message;
      case Wish::download:
        connection.endless = header.bytes == 0;
        connection.owed = connection.endless ? payload_size : header.bytes;
        connection.close_when_sent = !connection.endless;
        return true;
      case Wish::upload: return true;
    }
    return false;  // not one of ours
  }

  // One send a turn: bulk streams take turns, and an exchange's answer fits in one.
  auto send_owed(Connection& connection, std::uint64_t word) -> bool {
    if (connection.owed > 0) {
      const bool count = connection.header.wish == Wish::upload;
      const char* from = count ? reinterpret_cast<const char*>(&connection.received) : payload().data();
      const std::size_t size = std::min<std::uint64_t>(connection.owed, connection.chunk);
      const ssize_t n = ::send(connection.fd.get(), from, size, MSG_NOSIGNAL);
      if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
      if (n > 0 && count && static_cast<std::size_t>(n) < size) return false;  // 8 bytes never split
      if (n > 0 && !connection.endless) connection.owed -= static_cast<std::uint64_t>(n);
    }
    if (connection.owed == 0 && connection.close_when_sent) return false;
    if (const bool wants = connection.owed > 0; wants != connection.wants_write) {
      connection.wants_write = wants;
      poller_.change(connection.fd, wants ? EPOLLIN | EPOLLOUT : EPOLLIN, word);
    }
    return true;
  }

  Fd listener_;
  Fd signals_;
  Poller poller_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::uint64_t> free_;
  std::vector<std::uint64_t> closed_;
  std::array<char, payload_size> buffer_{};
};

}  // namespace

auto run_server(Arguments arguments) -> int {
  const std::string address = arguments.positional("the address to listen on");
  const auto descriptors = arguments.number("descriptors", 16384, 64, 1'000'000);
  arguments.finish();
  raise_descriptor_limit(descriptors);
  const auto server = std::make_unique<Server>(address);
  Json ready;
  ready.add("listening", server->address()).print();
  server->run();
  return 0;
}

}  // namespace weir::load
