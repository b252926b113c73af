#include "demo/naive_relay.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "demo/sockets.h"

namespace weir::demo {
namespace {

using namespace std::chrono_literals;

// How long nobody is accepted after accept(2) failed, most likely for want of descriptors.
constexpr int accept_pause_ms = 100;
// The whole relay waits while it connects: naive in this too, so the wait is bounded.
constexpr auto connect_limit = 3000ms;

// One direction: what was read and not yet written, and how far its end has got.
struct Lane {
  std::array<char, naive_read_size> bytes{};
  std::size_t begin = 0;
  std::size_t end = 0;
  bool source_ended = false;  // FIN was read, and passed on once the bytes were out

  [[nodiscard]] auto holds_bytes() const -> bool { return begin < end; }
};

struct Session {
  Fd client;
  Fd server;
  Lane upstream{};
  Lane downstream{};
  bool broken = false;

  [[nodiscard]] auto done() const -> bool { return broken || (upstream.source_ended && downstream.source_ended); }
};

// The `poll` entry of a socket that `incoming` reads from and `outgoing` writes to. One of which
// nothing is wanted is left out (fd -1), or its POLLHUP would make the loop spin.
auto poll_entry(const Fd& socket, const Lane& incoming, const Lane& outgoing) -> pollfd {
  short events = 0;
  if (!incoming.holds_bytes() && !incoming.source_ended) events |= POLLIN;
  if (outgoing.holds_bytes()) events |= POLLOUT;
  return {.fd = events == 0 ? -1 : socket.get(), .events = events, .revents = 0};
}

// One write of what the lane holds. false: the sink failed.
auto write_once(Lane& lane, const Fd& sink) -> bool {
  const ssize_t sent = ::send(sink.get(), lane.bytes.data() + lane.begin, lane.end - lane.begin, MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  lane.begin += static_cast<std::size_t>(sent);
  return true;
}

// One read, and one write of it at once. false: the source or the sink failed.
auto read_once(Lane& lane, const Fd& source, const Fd& sink) -> bool {
  const ssize_t got = ::recv(source.get(), lane.bytes.data(), lane.bytes.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) {
    lane.source_ended = true;
    return ::shutdown(sink.get(), SHUT_WR) == 0;
  }
  lane.begin = 0;
  lane.end = static_cast<std::size_t>(got);
  return write_once(lane, sink);
}

auto turn(Lane& lane, const Fd& source, short source_events, const Fd& sink, short sink_events) -> bool {
  if (lane.holds_bytes()) return sink_events == 0 || write_once(lane, sink);
  return source_events == 0 || lane.source_ended || read_once(lane, source, sink);
}

class Relay {
 public:
  Relay(std::vector<Fd> listeners, UpstreamAddress upstream, std::FILE* told)
      : listeners_(std::move(listeners)), upstream_(std::move(upstream)), told_(told) {}

  auto run(int stop_fd) -> Result<void> {
    for (;;) {
      fill_poll_list(stop_fd);
      if (::poll(polled_.data(), polled_.size(), accepting_ ? -1 : accept_pause_ms) < 0 && errno != EINTR) {
        return failure("poll: " + errno_text(errno), errno);
      }
      if (polled_[0].revents != 0) return {};
      move_bytes();
      const bool paused = !accepting_;
      accepting_ = true;
      for (std::size_t i = 0; i < listeners_.size() && !paused; ++i) {
        if (polled_[1 + i].revents != 0 && !accept_all(listeners_[i].get())) accepting_ = false;
      }
    }
  }

 private:
  void fill_poll_list(int stop_fd) {
    polled_.assign({{.fd = stop_fd, .events = POLLIN, .revents = 0}});
    for (const Fd& listener : listeners_) {
      polled_.push_back({.fd = accepting_ ? listener.get() : -1, .events = POLLIN, .revents = 0});
    }
    for (const Session& session : sessions_) {
      polled_.push_back(poll_entry(session.client, session.upstream, session.downstream));
      polled_.push_back(poll_entry(session.server, session.downstream, session.upstream));
    }
  }

  void move_bytes() {
    std::size_t next = 1 + listeners_.size();
    for (Session& session : sessions_) {
      const short client = polled_[next++].revents;
      const short server = polled_[next++].revents;
      session.broken = !turn(session.upstream, session.client, client, session.server, server) ||
                       !turn(session.downstream, session.server, server, session.client, client);
    }
    std::erase_if(sessions_, [](const Session& session) { return session.done(); });
  }

  // false: none can be accepted for the moment.
  auto accept_all(int listener) -> bool {
    for (;;) {
      auto client = accept_one(listener);
      if (!client) return false;
      if (!*client) return true;
      auto server = connect_to(upstream_, connect_limit);
      const auto ready = server ? set_non_blocking(server->get()) : Result<void>(Failure(server.error()));
      if (ready) {
        sessions_.push_back(Session{.client = std::move(**client), .server = std::move(*server)});
      } else if (told_ != nullptr) {
        fmt::print(told_, "weir: naive relay: {}\n", ready.error().message);
        static_cast<void>(std::fflush(told_));
      }
    }
  }

  std::vector<Fd> listeners_;
  UpstreamAddress upstream_;
  std::FILE* told_;  // of clients whose upstream can't be reached; nobody is told if null
  std::vector<Session> sessions_;
  std::vector<pollfd> polled_;
  bool accepting_ = true;
};

// All the addresses, on one port. An address family this machine lacks is left out if another is there.
auto listen_on_all(const ListenAddress& listen) -> Result<std::vector<Fd>> {
  std::vector<Fd> listeners;
  std::uint16_t port = 0;
  Error missing;
  for (Address address : listen.addresses) {
    if (const auto* ip = address.ip(); ip != nullptr && ip->port == 0) {
      Address::Ip same_port = *ip;
      same_port.port = port;
      address = Address(same_port);
    }
    auto listener = listen_on(address);
    if (listener) {
      if (port == 0) port = local_address(listener->get()).map([](const Address& at) { return at.port(); }).value_or(0);
      listeners.push_back(std::move(*listener));
    } else if (listener.error().code == EAFNOSUPPORT || listener.error().code == EADDRNOTAVAIL) {
      missing = listener.error();
    } else {
      return Failure(listener.error());
    }
  }
  if (listeners.empty()) return Failure(missing);
  return listeners;
}

}  // namespace

auto NaiveRelay::start(std::uint16_t upstream_port) -> Result<NaiveRelay> {
  auto listener = listen_on(loopback());
  if (!listener) return Failure(listener.error());
  const auto address = local_address(listener->get());
  if (!address) return Failure(address.error());
  std::vector<Fd> listeners;
  listeners.push_back(std::move(*listener));
  const Address upstream = loopback(upstream_port);
  auto loop = BackgroundLoop::start([relay = Relay(std::move(listeners), {upstream, upstream.to_string()}, nullptr)](
                                        int stop_fd) mutable { return relay.run(stop_fd); });
  return std::move(loop).map([&](BackgroundLoop&& running) { return NaiveRelay(std::move(running), address->port()); });
}

auto run_naive_relay(const ListenAddress& listen, const UpstreamAddress& upstream, int stop_fd, std::FILE* told)
    -> Result<void> {
  auto listeners = listen_on_all(listen);
  if (!listeners) return Failure(listeners.error());
  const auto address = local_address(listeners->front().get());
  if (!address) return Failure(address.error());
  Relay relay(std::move(*listeners), upstream, told);
  fmt::print(told, "weir: naive relay listening on {}, upstream {}\n", address->to_string(), upstream.text);
  static_cast<void>(std::fflush(told));
  return relay.run(stop_fd);
}

auto run_naive_relay_until_signal(const ListenAddress& listen, const UpstreamAddress& upstream, std::FILE* told)
    -> Result<void> {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGINT);
  ::sigaddset(&signals, SIGTERM);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0) {
    return failure("pthread_sigmask: " + errno_text(error), error);
  }
  const Fd stop(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!stop) return failure("signalfd: " + errno_text(errno), errno);
  return run_naive_relay(listen, upstream, stop.get(), told);
}

}  // namespace weir::demo
