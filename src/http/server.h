// HTTP/1.1 on our own event loop: an idle connection or an event stream costs memory and no thread, so
// that hundreds of them slow nobody down (cpp-httplib needs a thread per connection).
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "base/result.h"
#include "http/connection.h"
#include "http/listener.h"

namespace weir::http {

// Takes connections on listening sockets and has their requests answered, one at a time per connection. Created,
// used and destroyed on its loop's thread.
class Server final : private net::Timer {
 public:
  // The log and the loop outlive the server.
  Server(net::EventLoop& loop, Handler handler, Log& log, const Limits& limits = {});
  ~Server() override;
  Server(const Server&) = delete;
  auto operator=(const Server&) -> Server& = delete;

  // A listening, non-blocking socket.
  [[nodiscard]] auto listen(Fd socket) -> Result<void>;
  // Serves one connection, whoever accepted it. There must be room.
  void adopt(std::unique_ptr<Transport> transport);
  // Judges requests by their heads from now on.
  void set_gate(Gate gate) { context_.gate = std::move(gate); }
  // Is there room for one more connection? When all places are taken, one connection is ended, so that those who open
  // and do nothing, or ask and read nothing, keep nobody out (Connection::Claim). False: all are being served.
  [[nodiscard]] auto has_room() -> bool;
  // No new connections; idle ones close, others after the answer that is under way.
  void stop();
  // stop(), and then calls `then`, once: when every answer that is under way has been made and sent, or after
  // Limits::finish_timeout without those whose peers take nothing. The first call counts.
  void finish(std::function<void()> then);
  [[nodiscard]] auto connections() const -> std::size_t {
    context_.loop.assert_on_loop_thread();
    return connections_.size();
  }
  // In the buffers of all connections, in bytes; what their parsers hold is not in it.
  [[nodiscard]] auto held_bytes() const -> std::size_t;

 private:
  void on_timer() override;
  void look_whether_all_are_answered();
  ServerContext context_;
  std::function<void()> then_;  // once all are answered; or none
  bool is_finishing_ = false;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::map<Connection*, std::unique_ptr<Connection>> connections_;
};

}  // namespace weir::http
