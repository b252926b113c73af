// HTTP/1.1 on our own event loop: an idle connection or an event stream costs memory and no thread, so
// that hundreds of them slow nobody down. Parsing is Boost.Beast's, used without its sockets: it is kept
// up and has been attacked for years, where Debian's small alternative (http-parser) is given up by its
// authors, and cpp-httplib needs a thread per connection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/result.h"
#include "control/http.h"
#include "net/event_loop.h"

namespace weir::control {

class HttpConnection;

// Takes connections on listening sockets and answers their requests, one at a time per connection.
// Bounds: connections, header and body sizes, bytes waiting to be sent, and the time to read a request
// and to take the answer. Created, used and destroyed on its loop's thread.
class HttpServer {
 public:
  HttpServer(net::EventLoop& loop, HttpHandler handler, Log& log);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  auto operator=(const HttpServer&) -> HttpServer& = delete;

  // A listening, non-blocking socket.
  [[nodiscard]] auto listen(Fd socket) -> Result<void>;
  // No new connections; idle ones close, others after the answer that is under way.
  void stop();
  [[nodiscard]] auto connections() const -> std::size_t { return connections_.size(); }

  static constexpr std::size_t most_connections = 1000;
  static constexpr std::size_t most_header_bytes = 16 * 1024;
  static constexpr std::uint64_t most_body_bytes = 1024 * 1024;
  static constexpr std::size_t stream_buffer = 256 * 1024;
  // Of all answers that wait for their readers; beyond it they are 503.
  static constexpr std::size_t most_waiting_bytes = std::size_t{256} * 1024 * 1024;
  static constexpr Nanos read_timeout = std::chrono::seconds{15};   // of a request, from its first byte
  static constexpr Nanos write_timeout = std::chrono::seconds{30};  // without any progress
  static constexpr Nanos idle_timeout = std::chrono::seconds{60};

 private:
  friend class HttpConnection;
  class Listener;
  void adopt(Fd socket);
  void ended(HttpConnection& connection);
  // Ends the connection that has had no complete request for longest, so that those who open and do nothing
  // keep nobody out. False: all are busy.
  [[nodiscard]] auto make_room() -> bool;
  [[nodiscard]] auto is_full() const -> bool { return connections_.size() >= most_connections; }

  net::EventLoop& loop_;
  HttpHandler handler_;
  Log& log_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::set<HttpConnection*> connections_;  // each deletes itself through the loop's end of turn
  std::size_t waiting_bytes_ = 0;
  bool stopping_ = false;
};

}  // namespace weir::control
