#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "load_wire.h"

namespace weir::load {

// One connection that carries exchanges: a request, then its whole response. The caller owns the
// times; this only moves bytes. Single-threaded; throws LoadError when the peer ends or resets.
class Exchange {
 public:
  Exchange(Fd fd, std::uint32_t request_size, std::uint32_t response_size);

  [[nodiscard]] auto fd() const -> const Fd& { return fd_; }
  [[nodiscard]] auto busy() const -> bool { return owed_ > 0 || awaited_ > 0; }
  [[nodiscard]] auto wants_write() const -> bool { return owed_ > 0; }

  void start();                // begins a request; only when not busy
  void on_writable();          // goes on after a short send
  auto on_readable() -> bool;  // true: the response is complete

 private:
  Fd fd_;
  std::string request_;  // header first; the later requests are the same bytes
  std::uint32_t response_size_;
  std::size_t owed_ = 0;     // bytes of the request not sent
  std::size_t awaited_ = 0;  // bytes of the response not received
};

// A connection that asks for a download of so many bytes (0: without end) and is then left alone.
[[nodiscard]] auto open_stuck_reader(const std::string& address, std::uint64_t bytes) -> Fd;

}  // namespace weir::load
