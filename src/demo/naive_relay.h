#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "base/listen_address.h"
#include "base/result.h"
#include "base/upstream_address.h"
#include "demo/background_loop.h"

namespace weir::demo {

// The proxy of the story: correct, byte-exact, half-close included, and slow. It reads 128 bytes at a
// time, passes each read on with one write, leaves TCP_NODELAY off as the kernel does, and runs one
// `poll` loop. There is no sleep, no timer and no wait in it but that `poll`.
//
// What it costs. A query of 296 bytes leaves as 128 and then 128 + 40. With the first piece
// unacknowledged, Nagle's algorithm (RFC 9293 section 3.7.4) holds the rest back. The upstream has
// nothing to answer yet, so its kernel delays the acknowledgement (section 3.8.6.3) in the hope of
// sending it with a reply: 40 ms on Linux. The reply of 179 bytes is cut the same way, and the
// client's kernel delays the acknowledgement of its first piece.
//
// Measured (Linux 6.18, loopback, 2 cores, 60 queries on one connection; p50 a query): 88.0 ms, 0.02 ms
// without the relay. The first query takes 0.3 ms: a new connection acknowledges at once until it has
// answered. The stall comes and goes with the peers' acknowledgements alone, the relay unchanged, when
// they set TCP_QUICKACK again after every recv: the upstream only, 44.0 ms; the client only, 44.0 ms;
// both, 0.1 ms. So each way costs 44 ms: the 40 ms of the delayed ACK, rounded up by the kernel's
// timer. The tests hold the relay to that.
inline constexpr std::size_t naive_read_size = 128;

// A naive relay on a thread of its own, from start() until stop() or the destructor, which drops all
// connections. Listens on 127.0.0.1 at a port the kernel picks, connects to 127.0.0.1:upstream_port.
class NaiveRelay {
 public:
  [[nodiscard]] static auto start(std::uint16_t upstream_port) -> Result<NaiveRelay>;

  [[nodiscard]] auto port() const -> std::uint16_t { return port_; }
  auto stop() -> Result<void> { return loop_.stop(); }

 private:
  NaiveRelay(BackgroundLoop loop, std::uint16_t port) : loop_(std::move(loop)), port_(port) {}

  BackgroundLoop loop_;
  std::uint16_t port_;
};

// The same relay on the calling thread, for benchmarks. Says on `told`
//   weir: naive relay listening on 127.0.0.1:9999, upstream localhost:5432
// with the real port when clients can connect (the first address, if `listen` has several), and one
// line for each client whose upstream can't be reached. Returns when stop_fd becomes readable.
[[nodiscard]] auto run_naive_relay(const ListenAddress& listen, const UpstreamAddress& upstream, int stop_fd,
                                   std::FILE* told = stderr) -> Result<void>;
// Returns at SIGINT or SIGTERM. Blocks both in the calling thread, and leaves them blocked: call it
// from the main thread before any other is started.
[[nodiscard]] auto run_naive_relay_until_signal(const ListenAddress& listen, const UpstreamAddress& upstream,
                                                std::FILE* told = stderr) -> Result<void>;

}  // namespace weir::demo
