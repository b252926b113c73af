#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/address.h"
#include "base/listen_address.h"
#include "base/upstream_address.h"
#include "fault/byte_budget.h"
#include "net/socket.h"
#include "proxy/timeouts.h"

namespace weir::proxy {

struct HandshakeInfo;

// What the client feels when the upstream cannot be reached.
enum class OnConnectFailure : std::uint8_t {
  reset,  // RST, as a direct connect would have been refused
  close,  // FIN, as toxiproxy does
};

// What a user can say of a proxy, as one value: the same type stands in the command line's plan, the
// configuration file, the API's bodies, the registry, the engine and, shared and unchanging, in every
// session. Its defaults are those that users get. Each field has its row in setting_catalog.h, from which
// everything that reads, shows or documents it is made. Faults are no settings: they are a list of their own
// (fault/fault_list.h).
struct ProxyRules {
  ListenAddress listen = {.addresses = {*Address::parse_ip("127.0.0.1", 0)}, .text = "127.0.0.1:0"};
  UpstreamAddress upstream;
  bool enabled = true;
  const HandshakeInfo* handshake = nullptr;  // a row of handshake_catalog(), or another that outlives the proxy
  OnConnectFailure on_connect_failure = OnConnectFailure::reset;
  std::optional<std::uint64_t> max_sessions;                     // live at a time, over all workers; none: no limit
  std::uint64_t fault_queue_limit = fault::default_queue_limit;  // bytes that faults may hold in one direction
  std::optional<std::uint64_t> keepalive_count;                  // TCP_KEEPCNT; none: the system's
  std::string congestion{net::automatic_congestion_control};     // of both legs, see net/congestion.h
  bool diagnose = false;                                         // weir serve: say who loses time, and why
  Timeouts timeouts;

  auto operator==(const ProxyRules&) const -> bool = default;

  // What the kernel is told of both legs.
  [[nodiscard]] auto stream_options() const -> net::StreamOptions {
    using enum event::TimeoutName;
    net::StreamOptions options;
    options.user_timeout = timeouts[tcp_user_timeout];
    options.keepalive_idle = timeouts[tcp_keepalive_idle];
    options.keepalive_interval = *timeouts[tcp_keepalive_interval];
    if (keepalive_count) options.keepalive_count = static_cast<int>(*keepalive_count);
    options.congestion = congestion;
    return options;
  }
};

}  // namespace weir::proxy
