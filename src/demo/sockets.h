#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/address.h"
#include "base/fd.h"
#include "base/result.h"
#include "base/upstream_address.h"

namespace weir::demo {

// Plain sockets for the demonstration's own peers, as an ordinary program would use them: no option
// is set but those named here. Nothing of Weir's data path is used, so that what the demonstration
// compares Weir with does not change when Weir does.

// A non-blocking listening socket; SO_REUSEADDR, IPV6_V6ONLY on an IPv6 one.
[[nodiscard]] auto listen_on(const Address& address) -> Result<Fd>;
// 127.0.0.1 and a port the kernel picks.
[[nodiscard]] auto loopback(std::uint16_t port = 0) -> Address;
// The address a socket is bound to, with its real port.
[[nodiscard]] auto local_address(int socket) -> Result<Address>;

// A client's non-blocking socket, or none if nobody waits. Error: no more can be accepted now.
[[nodiscard]] auto accept_one(int listener) -> Result<std::optional<Fd>>;

// A connected, blocking socket. Waits at most `timeout` for each address of the upstream; a name is
// looked up here and now, by the calling thread.
[[nodiscard]] auto connect_to(const Address& address, std::chrono::milliseconds timeout) -> Result<Fd>;
[[nodiscard]] auto connect_to(const UpstreamAddress& upstream, std::chrono::milliseconds timeout) -> Result<Fd>;

[[nodiscard]] auto set_non_blocking(int socket) -> Result<void>;
// TCP_NODELAY: send small segments at once, whatever is unacknowledged. No effect on a Unix socket.
void set_no_delay(int socket);
// TCP_QUICKACK: acknowledge at once what has come and what comes next. The kernel falls back to
// delayed acknowledgements by itself (tcp(7)), so it must be set again after every recv.
void acknowledge_at_once(int socket);

}  // namespace weir::demo
