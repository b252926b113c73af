// What Weir asks of sockets: making them, setting them up, and the few questions it puts to them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "net/congestion.h"

namespace weir::net {

// Kernel settings of a stream leg; see tcp(7). Nanos are rounded up to the kernel's unit.
struct StreamOptions {
  std::optional<Nanos> user_timeout;                    // TCP_USER_TIMEOUT, milliseconds; none: system default
  std::optional<Nanos> keepalive_idle;                  // TCP_KEEPIDLE, seconds; none: no keepalive
  Nanos keepalive_interval = std::chrono::seconds{15};  // TCP_KEEPINTVL, seconds
  std::optional<int> keepalive_count;                   // TCP_KEEPCNT; has no effect while user_timeout is set
  std::string congestion = std::string(system_congestion_control);  // TCP_CONGESTION, see net/congestion.h
};

// TCP_NODELAY, SO_OOBINLINE and the options above. A Unix socket takes none of them and succeeds.
// Accepted sockets inherit all of these from their listener on Linux, so a listener is set up once
// and an accept costs no further call.
[[nodiscard]] auto apply_stream_options(int fd, int family, const StreamOptions& options) -> Result<void>;

// The same for a socket that had others before: what is none in `options` gets the system's default back.
// Best effort; a Unix socket takes none. For a listener, it is what sockets accepted from then on inherit.
void change_stream_options(int fd, const StreamOptions& options);

// Where the sockets of a proxy come from: one for the listening and the connecting ones, so that a
// proxy can stand in another network namespace. Not thread-safe: one per worker.
class SocketFactory {
 public:
  virtual ~SocketFactory() = default;
  // Bound and listening, non-blocking, close-on-exec. IPv6 sockets take IPv6 only. `reuse_port` is
  // for nobody yet. The error names the address and the way out.
  [[nodiscard]] virtual auto listen(const Address& address, const StreamOptions& options) -> Result<Fd> = 0;
  // A non-blocking socket on which connect(2) was called; bound to `from` before that unless it is null
  // (port 0: the kernel chooses one). done: connected at once (Unix). Error code EAGAIN: a Unix listener's
  // queue is full, try again soon. The error names the address that it is about.
  struct Connecting {
    Fd fd;
    bool done = false;
  };
  [[nodiscard]] virtual auto connect(const Address& address, const StreamOptions& options,
                                     const Address* from = nullptr) -> Result<Connecting> = 0;
};

// Sockets of the network namespace the process runs in, or of the one `namespace_fd` refers to
// (setns(2); needs CAP_SYS_ADMIN; the descriptor must stay open as long as the factory lives).
class KernelSockets final : public SocketFactory {
 public:
  explicit KernelSockets(std::optional<int> namespace_fd = std::nullopt) : namespace_fd_(namespace_fd) {}
  [[nodiscard]] auto listen(const Address& address, const StreamOptions& options) -> Result<Fd> override;
  [[nodiscard]] auto connect(const Address& address, const StreamOptions& options, const Address* from = nullptr)
      -> Result<Connecting> override;

 private:
  [[nodiscard]] auto make(int family) -> Result<Fd>;
  std::optional<int> namespace_fd_;
};

// The outcome of a connect that was in progress, asked after the socket had news: 0 connected (and
// perhaps ended since; the next recv tells), EALREADY not yet, else why it failed, which is told once.
// ECONNRESET: it was accepted and reset before a word was said; this call has taken the reset from the
// next recv. Asks neither SO_ERROR nor connect(2) again: both consume a reset, the latter with the
// bytes that came before it.
[[nodiscard]] auto connect_outcome(int fd) -> int;

// Does a socket that was told to connect to `target` reach a listener of this machine bound to `listener`?
// An address of this machine is reached from itself, whatever interface it belongs to; loopback always is.
[[nodiscard]] auto leads_to(int fd, const Address& target, const Address& listener) -> bool;

[[nodiscard]] auto local_address(int fd) -> Result<Address>;
[[nodiscard]] auto peer_address(int fd) -> Result<Address>;
// Where the peer had meant to connect before netfilter redirected it here (SO_ORIGINAL_DST, conntrack);
// none if it did not.
[[nodiscard]] auto original_destination(int fd) -> std::optional<Address>;

// Bytes the peer's kernel has not acknowledged, unsent ones included (SIOCOUTQ, tcp(7), unix(7));
// 0 when the socket cannot tell.
[[nodiscard]] auto unsent_bytes(int fd) -> std::size_t;

// An acknowledgement that this host's kernel delays leaves at once, and so do those of the next few segments
// (TCP_QUICKACK, tcp(7)). Nothing if it is no TCP socket.
void acknowledge_now(int fd);

// Has the connection come to an end without our doing (RST, timeout)? Asks TCP_INFO for the state,
// which unlike SO_ERROR or a send consumes nothing. Always false for a Unix socket.
[[nodiscard]] auto connection_is_dead(int fd) -> bool;

// SO_LINGER 0: the next close sends RST and discards what is unsent.
void reset_on_close(int fd);

}  // namespace weir::net
