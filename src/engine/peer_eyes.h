#pragma once

#include "diagnose/peer_state.h"

namespace weir::engine {

// How a diagnosis looks at the sockets of peers on this host, by sock_diag(7) and /proc; empty where this kernel has no
// sock_diag. What it returns is called on one thread at a time, and keeps one descriptor open.
[[nodiscard]] auto open_peer_eyes() -> diagnose::PeerEyes;

}  // namespace weir::engine
