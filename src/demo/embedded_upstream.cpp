#include "demo/embedded_upstream.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "demo/sockets.h"
#include "demo/workload.h"

namespace weir::demo {
namespace {

// How long nobody is accepted after accept(2) failed, most likely for want of descriptors.
constexpr int accept_pause_ms = 100;

struct Connection {
  Fd socket;
  std::string received;  // less than one query
  std::string unsent;    // replies the kernel has not taken; nothing is read meanwhile
  bool ended = false;    // the client sent FIN
  bool broken = false;

  [[nodiscard]] auto wanted() const -> short { return unsent.empty() ? POLLIN : POLLOUT; }
  [[nodiscard]] auto done() const -> bool { return broken || (ended && unsent.empty()); }
};

void send_unsent(Connection& connection) {
  const ssize_t sent =
      ::send(connection.socket.get(), connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
  if (sent >= 0) {
    connection.unsent.erase(0, static_cast<std::size_t>(sent));
  } else if (errno != EAGAIN && errno != EINTR) {
    connection.broken = true;
  }
}

void answer_whole_queries(Connection& connection) {
  std::string_view rest = connection.received;
  for (; rest.size() >= query_size; rest.remove_prefix(query_size)) {
    const Reply reply = reply_to(rest.substr(0, query_size));
    connection.unsent.append(reply.data(), reply.size());
  }
  connection.received.erase(0, connection.received.size() - rest.size());
}

void receive(Connection& connection, const EmbeddedUpstreamOptions& options) {
  std::array<char, 4096> buffer{};
  const ssize_t got = ::recv(connection.socket.get(), buffer.data(), buffer.size(), 0);
  if (got < 0) {
    connection.broken = errno != EAGAIN && errno != EINTR;
    return;
  }
  if (options.acknowledge_at_once) acknowledge_at_once(connection.socket.get());
  connection.ended = got == 0;
  connection.received.append(buffer.data(), static_cast<std::size_t>(got));
  answer_whole_queries(connection);
  if (!connection.unsent.empty()) send_unsent(connection);
}

// false: none can be accepted for the moment.
auto accept_all(int listener, std::vector<Connection>& connections) -> bool {
  for (;;) {
    auto client = accept_one(listener);
    if (!client) return false;
    if (!*client) return true;
    set_no_delay((*client)->get());
    connections.push_back(Connection{.socket = std::move(**client), .received = {}, .unsent = {}});
  }
}

auto serve(const Fd& listener, const EmbeddedUpstreamOptions& options, int stop_fd) -> Result<void> {
  std::vector<Connection> connections;
  std::vector<pollfd> polled;
  bool accepting = true;
  for (;;) {
    polled.assign({{.fd = stop_fd, .events = POLLIN, .revents = 0},
                   {.fd = accepting ? listener.get() : -1, .events = POLLIN, .revents = 0}});
    for (const Connection& connection : connections) {
      polled.push_back({.fd = connection.socket.get(), .events = connection.wanted(), .revents = 0});
    }
    if (::poll(polled.data(), polled.size(), accepting ? -1 : accept_pause_ms) < 0 && errno != EINTR) {
      return failure("poll: " + errno_text(errno), errno);
    }
    if (polled[0].revents != 0) return {};
    for (std::size_t i = 0; i < connections.size(); ++i) {
      if (polled[i + 2].revents == 0) continue;
      if (connections[i].unsent.empty()) {
        receive(connections[i], options);
      } else {
        send_unsent(connections[i]);
      }
    }
    std::erase_if(connections, [](const Connection& connection) { return connection.done(); });
    accepting = !accepting || polled[1].revents == 0 || accept_all(listener.get(), connections);
  }
}

}  // namespace

auto EmbeddedUpstream::start(const EmbeddedUpstreamOptions& options) -> Result<EmbeddedUpstream> {
  auto listener = listen_on(loopback());
  if (!listener) return Failure(listener.error());
  const auto address = local_address(listener->get());
  if (!address) return Failure(address.error());
  auto loop = BackgroundLoop::start(
      [listener = std::move(*listener), options](int stop_fd) { return serve(listener, options, stop_fd); });
  return std::move(loop).map(
      [&](BackgroundLoop&& running) { return EmbeddedUpstream(std::move(running), address->port()); });
}

}  // namespace weir::demo
