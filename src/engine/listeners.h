#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "engine/proxy_spec.h"

namespace weir::engine {

// The listening sockets of a proxy, shared by its workers.
struct Listeners {
  std::vector<std::shared_ptr<const Fd>> sockets;
  std::vector<std::string> unix_paths;  // to be unlinked when they close
  std::string text;                     // where, with the real port: "127.0.0.1:8888", ":8888", "unix:/path"
};

// Binds what the spec asks for, or takes the socket it gives. Any thread.
[[nodiscard]] auto make_listeners(const ProxySpec& spec, const net::StreamOptions& options) -> Result<Listeners>;

}  // namespace weir::engine
