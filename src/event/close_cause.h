#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/ids.h"
#include "event/timeout_name.h"

namespace weir::event {

// Who or what ended a session. The texts are a contract (docs/close-causes.md): scripts match them.
enum class CloseReason : std::uint8_t {
  client_fin,           // "client.fin": both sides ended in order, the client first
  server_fin,           // "server.fin": both sides ended in order, the server first
  client_reset,         // "client.reset": the client sent RST
  server_reset,         // "server.reset": the server sent RST
  client_error,         // "client.error": the client leg failed with another error (see detail)
  server_error,         // "server.error": the server leg failed with another error
  resolve_failed,       // "resolve.failed": the upstream's name has no address
  connect_refused,      // "connect.refused": the upstream refused the connection
  connect_unreachable,  // "connect.unreachable": no route, or an ICMP error
  connect_failed,       // "connect.failed": another error while connecting, such as no descriptor left
  timeout,              // the timeout's own name, such as "idle.client"
  keepalive,            // "tcp.keepalive": the peer answered no keepalive probe
  resources,            // "resources": Weir's own machine had no memory for what was to be relayed (see detail)
  fault,                // "fault": a fault ended it
  shutdown,             // "shutdown": Weir ended it: a second signal, --once done, or its output closed
};

// Why a session ended: who, what, after how long.
struct CloseCause {
  CloseReason reason = CloseReason::shutdown;
  TimeoutName timeout{};         // which clock, if reason is timeout
  std::optional<LegName> leg{};  // which leg it happened on, where that says more than the reason
  Nanos after{};                 // a timeout: the time it waited; else the session's age
};

// Did it end because the upstream could not be reached: its name, its address, or the time for either?
[[nodiscard]] auto is_unreached(const CloseCause& cause) -> bool;

// "idle.client", "server.reset", ...
[[nodiscard]] auto to_string(const CloseCause& cause) -> std::string_view;
// "closed by idle.client after 30.0s"
[[nodiscard]] auto describe(const CloseCause& cause) -> std::string;

}  // namespace weir::event
