// Room diagnose/, floor 6: says who lost the time of a slow exchange, and why. Events in, verdicts out: it includes
// base/ and event/ only, knows no socket and no clock, and runs on its observer's own thread, so nothing here is
// locked. Start with this file, then session_timeline.h (events become pauses), cause.h (what a rule is), causes/ (one
// rule a file), ledger.h (the sums) and report.h.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/clock.h"
#include "base/ids.h"
#include "diagnose/bursts.h"
#include "diagnose/peer_state.h"
#include "diagnose/session_setup.h"
#include "diagnose/tls_records.h"
#include "event/event.h"

namespace weir::diagnose {

// Who held an exchange at a moment. The moments of a session follow each other and never overlap: each ends with
// something that one side did, and the time before it is that side's.
enum class Segment : std::uint8_t {
  connecting,      // from accept to both legs connected, or to the failure
  client_sends,    // between two pieces of a request
  reads,           // bytes lie in this host's kernel until Weir reads them
  passes,          // bytes were read and are not yet written to the other leg
  server_answers,  // the request was passed on, and no byte of the response is here
  server_sends,    // between two pieces of a response
  client_waits,    // between a response and the next request
};
inline constexpr std::size_t segment_count = 7;
[[nodiscard]] auto to_string(Segment segment) -> std::string_view;

// Whose time it is.
enum class Side : std::uint8_t { client, server, client_path, server_path, weir };
inline constexpr std::size_t side_count = 5;
[[nodiscard]] auto to_string(Side side) -> std::string_view;  // "client", ..., "path.client", "path.server", "weir"
[[nodiscard]] constexpr auto side_of(LegName leg) -> Side {
  return leg == LegName::client ? Side::client : Side::server;
}
[[nodiscard]] constexpr auto path_of(LegName leg) -> Side {
  return leg == LegName::client ? Side::client_path : Side::server_path;
}

// What the kernel said of one leg at the two ends of a pause; none where it was not asked.
struct LegEvidence {
  std::shared_ptr<const event::LegCounters> before;  // the last that were told before it
  std::shared_ptr<const event::LegCounters> after;   // the first that were told behind it
  Nanos before_age{};                                // how long before its begin `before` was told
  std::uint32_t widest = 0;                          // the largest congestion window until then, segments
  std::uint32_t reads = 0;  // of the leg from `before` to the pause's end, the one that ended it included
  // How much a counter grew between the two: over the pause and the time before it that before_age says; none where
  // one is missing.
  template <class T>
  [[nodiscard]] auto grown(T event::LegCounters::*counter) const -> std::optional<T> {
    if (!before || !after || *after.*counter < *before.*counter) return std::nullopt;
    return static_cast<T>(*after.*counter - *before.*counter);
  }
  // Of a counter of time, how much at least fell into the pause.
  [[nodiscard]] auto grown_inside(Nanos event::LegCounters::*counter) const -> Nanos {
    return std::max(Nanos{0}, grown(counter).value_or(Nanos{0}) - before_age);
  }
};

inline constexpr std::size_t cut_text = 24;

// Why a session never reached its upstream, or how long that took.
struct ConnectEvidence {
  Nanos resolve{};      // the name's lookup
  std::string name;     // that was looked up; empty: the address was given
  int error = 0;        // errno of the last attempt; 0: connected
  std::string failure;  // of the lookup; empty: it did not fail
  unsigned attempts = 0;
  Nanos last_attempt{};  // how long the last address took
};

// How long one segment took in the exchanges of a session that have ended.
struct Habit {
  static constexpr std::size_t kept = 8;
  std::uint64_t count = 0;
  Nanos first{};
  std::array<Nanos, kept> ring{};
  void add(Nanos length) {
    if (count == 0) first = length;
    ring.at(count++ % kept) = length;
  }
  // The newest, in no order; at most `kept`.
  [[nodiscard]] auto recent() const -> std::span<const Nanos> {
    return std::span(ring).first(static_cast<std::size_t>(std::min<std::uint64_t>(count, kept)));
  }
};

// Shorter stretches of time are added up and not judged: at this scale a scheduler decides.
inline constexpr Nanos least_pause = std::chrono::milliseconds{1};

// One stretch of a session's time in which nothing came or went that its exchange waited for, of at least least_pause;
// a connection that was not made is one however soon that was known.
struct Pause {
  ProxyId proxy{};
  SessionNumber session{};
  std::uint64_t exchange = 0;  // in the session, from 1; 0: before the first
  Segment segment{};
  Direction direction{};  // of the bytes that ended it
  MonoTime begin{};
  Nanos length{};

  // Of the message whose bytes ended it, a request or a response:
  std::uint64_t offset = 0;   // in the direction's stream, of the first byte behind the pause
  std::uint64_t before = 0;   // bytes of the message that stand before the pause
  std::uint64_t piece = 0;    // of these, how many came since the pause before it
  std::uint64_t behind = 0;   // bytes that ended it, of one read
  std::string text_before{};  // what stands at the cut, at most cut_text bytes each
  std::string text_behind{};

  LegEvidence source{};  // of the leg from which its direction's bytes come
  LegEvidence sink{};    // of the one to which they go
  std::optional<ConnectEvidence> connect{};
  std::shared_ptr<const event::PacketEvidence> packets{};  // of a capture; null: nobody saw the packets
  std::span<const std::string> faults{};  // of Weir's, that came into force in the session; valid during the call

  std::uint64_t asked = 0;            // bytes of the exchange's request that had come before it
  std::uint32_t pipelined = 0;        // whole requests among them, without the first
  std::vector<PeerLook> looks{};      // at the sockets of both peers while it lasted, if they are on this host
  std::vector<PeerLook> own_looks{};  // at Weir's own ends of legs whose peer is on another host
  std::optional<PeerProcess> server_process{};  // at its end, if a look found it before
  bool others_heard = false;               // of the first exchange: the server answered another session in its midst
  Purpose purpose{};                       // of the exchange, as far as is known
  TlsMoment tls{};                         // before the bytes that ended it
  Bursts bursts{};                         // of the message until then, with the one that it ended
  Habit habit{};                           // of this segment, if it is one of a message or the wait for an answer
  Nanos idle_before{};                     // before the exchange
  std::optional<Nanos> finished_before{};  // the server ended its stream so long before the exchange began
  Nanos finished_idle{};                   // and nothing had come or gone for so long then

  [[nodiscard]] auto source_leg() const -> LegName { return source_of(direction); }
  [[nodiscard]] auto sink_leg() const -> LegName { return sink_of(direction); }
};

}  // namespace weir::diagnose
