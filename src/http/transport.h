// The byte stream under a connection: a socket, or a test's script.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "net/event_loop.h"

namespace weir::http {

struct IoResult {
  enum class Status : std::uint8_t { moved, would_block, end, broken };
  Status status = Status::moved;
  std::size_t bytes = 0;  // at least 1 if moved, else 0
};

// One connection's socket, non-blocking. Its destructor closes it. Loop thread only.
class Transport {
 public:
  virtual ~Transport() = default;
  // From now on `handler` hears of news, edge-triggered. It must live until unwatch().
  [[nodiscard]] virtual auto watch(net::EventLoop& loop, net::ReadyHandler& handler) -> Result<void> = 0;
  virtual void unwatch(net::EventLoop& loop) = 0;
  // end: the peer sends no more.
  [[nodiscard]] virtual auto read(std::span<char> into) -> IoResult = 0;
  [[nodiscard]] virtual auto write(std::string_view bytes) -> IoResult = 0;
  // Tells the peer that no more comes.
  virtual void close_write() = 0;
  // The connection breaks when the peer's kernel leaves sent bytes unacknowledged for so long.
  virtual void set_patience(Nanos patience) = 0;
  // As Request::peer.
  [[nodiscard]] virtual auto peer() -> std::string { return {}; }
};

[[nodiscard]] auto make_transport(Fd socket) -> std::unique_ptr<Transport>;

}  // namespace weir::http
