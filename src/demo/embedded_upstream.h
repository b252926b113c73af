#pragma once

#include <cstdint>

#include "base/result.h"
#include "demo/background_loop.h"

namespace weir::demo {

struct EmbeddedUpstreamOptions {
  // Acknowledge every segment at once: TCP_QUICKACK, set again after every recv. No ordinary server
  // does that; tests use it to show what the naive relay waits for.
  bool acknowledge_at_once = false;
};

// The server of the demonstration: reads whole queries of 296 bytes (workload.h) in whatever pieces
// they come, and answers each at once with one write. TCP_NODELAY is on, so that no stall is its own
// making; everything else is as the kernel gives it.
//
// Listens on 127.0.0.1 at a port the kernel picks; serves any number of connections with one `poll`
// loop on a thread of its own, from start() until stop() or the destructor, which drops them all.
class EmbeddedUpstream {
 public:
  [[nodiscard]] static auto start(const EmbeddedUpstreamOptions& options = {}) -> Result<EmbeddedUpstream>;

  [[nodiscard]] auto port() const -> std::uint16_t { return port_; }
  auto stop() -> Result<void> { return loop_.stop(); }

 private:
  EmbeddedUpstream(BackgroundLoop loop, std::uint16_t port) : loop_(std::move(loop)), port_(port) {}

  BackgroundLoop loop_;
  std::uint16_t port_;
};

}  // namespace weir::demo
