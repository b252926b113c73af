#include "proxy/handshake_catalog.h"

#include <algorithm>
#include <vector>

#include "proxy/handshakes/proxy_protocol.h"

namespace weir::proxy {

auto handshake_catalog() -> std::span<const HandshakeInfo> {
  static const std::vector<HandshakeInfo> all{
      {"proxy_protocol", "who the client is, by a PROXY header of version 1 or 2, as load balancers send it",
       [] { return std::make_unique<ProxyProtocol>(); }},
  };
  return all;
}

auto find_handshake(std::string_view name) -> const HandshakeInfo* {
  const auto all = handshake_catalog();
  const auto found = std::ranges::find(all, name, &HandshakeInfo::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace weir::proxy
