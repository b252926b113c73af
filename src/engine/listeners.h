#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/listen_address.h"
#include "base/result.h"
#include "net/socket.h"

namespace weir::engine {

// The listening sockets of a proxy, shared by its workers.
struct Listeners {
  std::vector<std::shared_ptr<const Fd>> sockets;
  std::vector<std::string> unix_paths;  // to be unlinked when they close
  ListenAddress where;                  // with the real port
  bool are_given = false;               // another process may have them too
};

// Binds and listens, in a network namespace if one is given (see net::KernelSockets). Any thread.
[[nodiscard]] auto make_listeners(const ListenAddress& wanted, std::optional<int> network_namespace,
                                  const net::StreamOptions& options) -> Result<Listeners>;

}  // namespace weir::engine
