#pragma once

#include <cstddef>

#include "base/ids.h"

namespace weir::event {

// Which session of which proxy, for observers that remember what they were told of each.
struct SessionKey {
  ProxyId proxy;
  SessionNumber session;
  auto operator==(const SessionKey&) const -> bool = default;
};
struct SessionKeyHash {
  auto operator()(const SessionKey& key) const -> std::size_t {
    return static_cast<std::size_t>(key.session) ^ static_cast<std::size_t>(key.proxy) << 48;
  }
};

}  // namespace weir::event
