#include "event/close_cause.h"

#include <fmt/format.h>

#include "base/duration.h"

namespace weir::event {

auto to_string(const CloseCause& cause) -> std::string_view {
  switch (cause.reason) {
    case CloseReason::client_fin: return "client.fin";
    case CloseReason::server_fin: return "server.fin";
    case CloseReason::client_reset: return "client.reset";
    case CloseReason::server_reset: return "server.reset";
    case CloseReason::client_error: return "client.error";
    case CloseReason::server_error: return "server.error";
    case CloseReason::resolve_failed: return "resolve.failed";
    case CloseReason::connect_refused: return "connect.refused";
    case CloseReason::connect_unreachable: return "connect.unreachable";
    case CloseReason::connect_failed: return "connect.failed";
    case CloseReason::timeout: return to_string(cause.timeout);
    case CloseReason::keepalive: return "tcp.keepalive";
    case CloseReason::resources: return "resources";
    case CloseReason::fault: return "fault";
    case CloseReason::shutdown: return "shutdown";
  }
  return "unknown";
}

auto is_unreached(const CloseCause& cause) -> bool {
  switch (cause.reason) {
    case CloseReason::resolve_failed:
    case CloseReason::connect_refused:
    case CloseReason::connect_unreachable:
    case CloseReason::connect_failed: return true;
    case CloseReason::timeout:
      return cause.timeout == TimeoutName::resolve || cause.timeout == TimeoutName::connect ||
             cause.timeout == TimeoutName::connect_attempt;
    default: return false;
  }
}

auto describe(const CloseCause& cause) -> std::string {
  return fmt::format("closed by {} after {}", to_string(cause), format_duration(cause.after));
}

}  // namespace weir::event
