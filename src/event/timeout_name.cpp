#include "event/timeout_name.h"

namespace weir::event {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::array<TimeoutInfo, timeout_count> catalog{{
    {TimeoutName::resolve, "resolve", seconds{5}, true, false, "total: one lookup of the upstream's name"},
    {TimeoutName::connect, "connect", seconds{5}, true, false,
     "total: all addresses of the upstream together, after the lookup"},
    {TimeoutName::connect_attempt, "connect.attempt", std::nullopt, true, false,
     "total: one address; off: what is left of connect, shared evenly by the addresses left, 2s at least"},
    {TimeoutName::first_byte_client, "first_byte.client", std::nullopt, true, true,
     "total: connected to the client's first byte"},
    {TimeoutName::first_byte_server, "first_byte.server", std::nullopt, true, true,
     "total: connected to the server's first byte"},
    {TimeoutName::idle, "idle", hours{1}, true, true, "inactivity: both directions silent"},
    {TimeoutName::idle_client, "idle.client", std::nullopt, true, true,
     "inactivity: the client silent while it is its turn (the last byte came from the server, or none came yet)"},
    {TimeoutName::idle_server, "idle.server", std::nullopt, true, true,
     "inactivity: the server silent while it is its turn (the last byte came from the client)"},
    {TimeoutName::write_stall, "write_stall", seconds{60}, true, true,
     "inactivity: a peer takes none of the bytes that wait for it"},
    {TimeoutName::half_close, "half_close", minutes{5}, true, true, "inactivity: after one side has sent FIN"},
    {TimeoutName::max_duration, "max_duration", std::nullopt, true, true, "total: the session, from accept"},
    {TimeoutName::reset_grace, "reset_grace", seconds{1}, true, true,
     "total: from a reset on one leg to passing it on, while bytes sent before it are still being delivered; off: at "
     "once"},
    {TimeoutName::drain, "drain", seconds{30}, true, false,
     "total: from the first SIGINT/SIGTERM to the end of the sessions left; off: no limit"},
    {TimeoutName::tcp_user_timeout, "tcp.user_timeout", seconds{60}, true, false,
     "kernel: data sent and not acknowledged (TCP_USER_TIMEOUT, tcp(7)); it also ends keepalive probing, so it "
     "overrides "
     "keepalive_count; whole milliseconds"},
    {TimeoutName::tcp_keepalive_idle, "tcp.keepalive.idle", seconds{60}, true, false,
     "kernel: silence before the first keepalive probe (TCP_KEEPIDLE); off: no keepalive; whole seconds"},
    {TimeoutName::tcp_keepalive_interval, "tcp.keepalive.interval", seconds{15}, false, false,
     "kernel: between keepalive probes (TCP_KEEPINTVL); whole seconds"},
}};

}  // namespace

auto timeout_catalog() -> const std::array<TimeoutInfo, timeout_count>& { return catalog; }

auto to_string(TimeoutName name) -> std::string_view { return catalog[static_cast<std::size_t>(name)].text; }

auto find_timeout(std::string_view text) -> const TimeoutInfo* {
  for (const TimeoutInfo& info : catalog) {
    if (info.text == text) return &info;
  }
  return nullptr;
}

}  // namespace weir::event
