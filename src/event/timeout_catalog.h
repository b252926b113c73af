// The rows of timeout_catalog(), for the sources that need them at compile time: a clock that a relaying
// session runs is one row here, its name in timeout_name.h, and what tells the session's clocks of facts
// that are new (src/proxy/session_clocks.h).
#pragma once

#include "event/timeout_name.h"

namespace weir::event {

inline constexpr std::array<TimeoutInfo, timeout_count> timeout_rows{{
    {TimeoutName::handshake, "handshake", std::chrono::seconds{10}, true,
     "total: accept to the end of what the client has to say before the stream, if the proxy's `handshake` says so",
     ClockPhase::opening, Blame::client},
    {TimeoutName::resolve, "resolve", std::chrono::seconds{5}, true, "total: one lookup of the upstream's name",
     ClockPhase::resolving, Blame::neither},
    {TimeoutName::connect, "connect", std::chrono::seconds{5}, true,
     "total: all addresses of the upstream together, after the lookup", ClockPhase::connecting, Blame::server},
    {TimeoutName::connect_attempt, "connect.attempt", std::nullopt, true,
     "total: one address; off: what is left of connect, shared evenly by the addresses left, 2s at least",
     ClockPhase::connecting, Blame::server},
    {TimeoutName::first_byte_client, "first_byte.client", std::nullopt, true,
     "total: connected to the client's first byte", ClockPhase::relaying, Blame::client,
     ClockRule{.starts = ClockFact::connected,
               .stopped_by = {ClockFact::client_spoke, ClockFact::fin_read},
               .pauses = true,
               .precedence = 2}},
    {TimeoutName::first_byte_server, "first_byte.server", std::nullopt, true,
     "total: connected to the server's first byte", ClockPhase::relaying, Blame::server,
     ClockRule{.starts = ClockFact::connected,
               .stopped_by = {ClockFact::server_spoke, ClockFact::fin_read},
               .pauses = true,
               .precedence = 2}},
    {TimeoutName::idle, "idle", std::chrono::hours{1}, true, "inactivity: both directions silent", ClockPhase::relaying,
     Blame::neither,
     ClockRule{
         .starts = ClockFact::connected, .moved_on_by = {ClockFact::byte_moved}, .pauses = true, .precedence = 5}},
    {TimeoutName::idle_client, "idle.client", std::nullopt, true,
     "inactivity: the client silent while it is its turn (the last byte came from the server, or none came yet)",
     ClockPhase::relaying, Blame::client,
     ClockRule{.starts = ClockFact::connected,
               .moved_on_by = {ClockFact::byte_moved},
               .stopped_by = {ClockFact::servers_turn},
               .pauses = true,
               .precedence = 3}},
    {TimeoutName::idle_server, "idle.server", std::nullopt, true,
     "inactivity: the server silent while it is its turn (the last byte came from the client)", ClockPhase::relaying,
     Blame::server,
     ClockRule{.starts = ClockFact::connected,
               .moved_on_by = {ClockFact::byte_moved},
               .stopped_by = {ClockFact::clients_turn},
               .pauses = true,
               .precedence = 3}},
    {TimeoutName::write_stall, "write_stall", std::chrono::seconds{60}, true,
     "inactivity: a peer takes none of the bytes that wait for it", ClockPhase::relaying, Blame::stalled_leg,
     ClockRule{.starts = ClockFact::write_blocked, .precedence = 1}},
    {TimeoutName::half_close, "half_close", std::chrono::minutes{5}, true, "inactivity: after one side has sent FIN",
     ClockPhase::relaying, Blame::neither,
     ClockRule{.starts = ClockFact::fin_read, .moved_on_by = {ClockFact::byte_moved}, .pauses = true, .precedence = 4}},
    {TimeoutName::max_duration, "max_duration", std::nullopt, true, "total: the session, from accept",
     ClockPhase::session, Blame::neither, ClockRule{.starts = ClockFact::accepted}},
    {TimeoutName::reset_grace, "reset_grace", std::chrono::seconds{1}, true,
     "total: from a reset on one leg to passing it on, while bytes sent before it are still being delivered; off: at "
     "once",
     ClockPhase::delivering_before_reset, Blame::stalled_leg},
    {TimeoutName::drain, "drain", std::chrono::seconds{30}, true,
     "total: from the first SIGINT/SIGTERM to the end of the sessions left; off: no limit; 8s as process 1, as docker "
     "stop kills after 10 s",
     ClockPhase::stopping, Blame::neither},
    {TimeoutName::tcp_user_timeout, "tcp.user_timeout", std::chrono::seconds{60}, true,
     "kernel: data sent and not acknowledged (TCP_USER_TIMEOUT, tcp(7)); it also ends keepalive probing, so it "
     "overrides "
     "keepalive_count; whole milliseconds",
     ClockPhase::kernel, Blame::stalled_leg},
    {TimeoutName::tcp_keepalive_idle, "tcp.keepalive.idle", std::chrono::seconds{60}, true,
     "kernel: silence before the first keepalive probe (TCP_KEEPIDLE); off: no keepalive; whole seconds",
     ClockPhase::kernel, Blame::neither},
    {TimeoutName::tcp_keepalive_interval, "tcp.keepalive.interval", std::chrono::seconds{15}, false,
     "kernel: between keepalive probes (TCP_KEEPINTVL); whole seconds", ClockPhase::kernel, Blame::neither},
}};

// Does a relaying session run it?
[[nodiscard]] constexpr auto runs_while_relaying(const TimeoutInfo& row) -> bool {
  return row.phase == ClockPhase::relaying || row.phase == ClockPhase::session;
}

// All that `rule` counts from has a time, which a pause moves on if the clock pauses and leaves if not.
[[nodiscard]] constexpr auto counts_from_facts_of_its_kind(const ClockRule& rule) -> bool {
  for (std::size_t i = 0; i < clock_facts; ++i) {
    const auto fact = static_cast<ClockFact>(i);
    if (rule.starts != fact && !rule.moved_on_by.has(fact)) continue;
    if (i >= timed_clock_facts || moved_on_by_pauses.has(fact) != rule.pauses) return false;
  }
  return true;
}

static_assert(
    [] {
      for (std::size_t i = 0; i < timeout_rows.size(); ++i) {
        if (static_cast<std::size_t>(timeout_rows[i].name) != i) return false;
        if (runs_while_relaying(timeout_rows[i]) && !counts_from_facts_of_its_kind(timeout_rows[i].rule)) return false;
      }
      return true;
    }(),
    "the rows are in the order of the names, and no clock counts from a time that a pause moves for others");

}  // namespace weir::event
