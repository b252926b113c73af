// Room event/, floor 3: what happened to a session, as immutable records, and the rings that carry
// them from a worker's loop to its observers. proxy/ writes them; view/, and later record/ and
// diagnose/, read them; neither side includes the other. Includes base/ only.
// Start with this file, then ring.h.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/address.h"
#include "base/block.h"
#include "base/clock.h"
#include "base/ids.h"
#include "event/close_cause.h"
#include "event/leg_counters.h"
#include "event/packet_evidence.h"

namespace weir::event {

// A connection came in.
struct SessionAccepted {
  Address client;    // the peer that connected
  Address listener;  // the address it connected to
};

// The upstream's name was looked up.
struct UpstreamResolved {
  std::string name;
  std::vector<Address> addresses;  // in the order in which they are tried; none: it failed
  std::string error;               // why it failed
  Nanos took{};
};

// One address was tried.
struct ConnectTried {
  Address upstream;
  std::optional<Address> from;  // the source address that was asked for
  int error = 0;                // errno; 0: connected
  Nanos took{};
};

// What the kernel says of both connections: with these a capture of packets finds the session. By LegName.
struct LegAddresses {
  Address local;
  Address peer;
};
struct LegsConnected {
  std::array<LegAddresses, 2> legs{};
};

// The upstream was reached; bytes may flow. An observer that came later is told it with the time at which it happened,
// before any other event of the session.
struct SessionOpened {
  Address client;      // the peer that connected
  Address upstream;    // the address that was reached
  Nanos connect_time;  // accept to connected, name lookup included
  SessionHandle handle{};
};

// One read. offset: of its first byte in the direction's stream, from 0.
struct ChunkRead {
  Slice bytes;
  std::uint64_t offset = 0;
  std::optional<MonoTime> kernel_time;  // when the kernel received its last byte, if some observer asked for
                                        // receive_times and the kernel says it
  Direction direction{};
  // Bytes behind `bytes` that nobody copied: moved inside the kernel (see chunk_bytes), or cut off in a capture.
  std::uint32_t uncopied = 0;
  [[nodiscard]] auto size() const -> std::size_t { return bytes.size() + uncopied; }
};

// The direction's bytes up to end_offset have been handed to the sink's kernel.
struct ChunkWritten {
  std::uint64_t end_offset = 0;
  Direction direction{};
};

// FIN was passed on in this direction; the other goes on.
struct HalfClosed {
  Direction direction{};
  std::shared_ptr<const std::string> fault{};  // the name of the fault that made it; null: the source has finished
};

// A fault came into force in the session: its first byte, its time or its phase has come.
struct FaultBegan {
  std::string fault;  // its name in the proxy
  std::string type;
};

// The kernel has sent the direction's bytes up to end_offset, or the sink's kernel has acknowledged them. The event's
// time is the kernel's. Several sends may share one event; each is at least as far as the one before it.
struct Sent {
  std::uint64_t end_offset = 0;
  Direction direction{};
};
struct Acknowledged {
  std::uint64_t end_offset = 0;
  Direction direction{};
};

struct DirectionTotals {
  std::uint64_t bytes = 0;        // read from the source
  std::uint64_t chunks = 0;       // reads that delivered them (splice moves count as reads)
  std::uint64_t undelivered = 0;  // of bytes: never taken by the sink's kernel, or discarded by a reset
};

struct SessionClosed {
  CloseCause cause;
  std::string detail;  // more about the cause for people, a clause without a full stop; may be empty
  Address client;
  std::optional<Address> upstream;          // none if no upstream was reached
  Nanos age{};                              // accept to close
  Nanos longest_silence{};                  // longest time without a byte either way while relaying
  Nanos waited_for_observers{};             // a direction stood still as an observer's ring was full (policy block)
  std::array<DirectionTotals, 2> totals{};  // by Direction
};

// Events this observer did not get because its ring was full (policy drop). Sent before the next
// event of the ring; says how much was not shown, for all sessions together.
struct Gap {
  std::uint64_t chunks = 0;
  std::uint64_t bytes = 0;
  std::uint64_t events = 0;  // other than chunk reads
  int error = 0;             // the errno of the observer's output that took none of it; 0: the ring was full
};

// The kinds, as bits of an observer's mask.
enum class EventKind : std::uint32_t {
  session_opened = 1 << 0,
  chunk_read = 1 << 1,
  chunk_written = 1 << 2,
  half_closed = 1 << 3,
  session_closed = 1 << 4,
  fault_began = 1 << 5,
  session_accepted = 1 << 6,
  upstream_resolved = 1 << 7,
  connect_tried = 1 << 8,
  legs_connected = 1 << 9,
  sent = 1 << 10,
  acknowledged = 1 << 11,
  leg_counters = 1 << 12,
  // No event of its own: chunk_read comes with the time at which the kernel received it.
  receive_times = 1 << 13,
  // No event of its own: chunk_read comes with all its bytes. Where nobody wants them, bulk is spliced, and told by how
  // many bytes were moved.
  chunk_bytes = 1 << 14,
  packets = 1 << 15,  // of captures alone
};
using EventMask = std::uint32_t;
[[nodiscard]] constexpr auto operator|(EventKind a, EventKind b) -> EventMask {
  return static_cast<EventMask>(static_cast<EventMask>(a) | static_cast<EventMask>(b));
}
[[nodiscard]] constexpr auto operator|(EventMask a, EventKind b) -> EventMask {
  return static_cast<EventMask>(a | static_cast<EventMask>(b));
}
[[nodiscard]] constexpr auto contains(EventMask mask, EventKind kind) -> bool {
  return (mask & static_cast<EventMask>(kind)) != 0;
}

[[nodiscard]] constexpr auto is_chunk(EventKind kind) -> bool {
  return kind == EventKind::chunk_read || kind == EventKind::chunk_written;
}
[[nodiscard]] constexpr auto is_evidence(EventKind kind) -> bool {
  return kind == EventKind::sent || kind == EventKind::acknowledged || kind == EventKind::leg_counters;
}

// Rare, large records travel by shared pointer, so that a ring slot stays small.
using What = std::variant<std::monostate, std::shared_ptr<const SessionOpened>, ChunkRead, ChunkWritten, HalfClosed,
                          std::shared_ptr<const SessionClosed>, std::shared_ptr<const FaultBegan>, Gap,
                          std::shared_ptr<const SessionAccepted>, std::shared_ptr<const UpstreamResolved>,
                          std::shared_ptr<const ConnectTried>, std::shared_ptr<const LegsConnected>, Sent, Acknowledged,
                          std::shared_ptr<const LegCounters>, std::shared_ptr<const PacketEvidence>>;

struct Event {
  // When it happened: of chunk reads and writes right after the call, of others when they are told. The events of a
  // session come in the order of their times, but for evidence, whose times are the kernel's.
  MonoTime time;
  ProxyId proxy{};
  SessionNumber session{};
  What what;
};

// A consumer of events. The engine calls it on the observer's own thread, never on a worker's, in
// order within a session.
class Observer {
 public:
  virtual ~Observer() = default;
  // Handles one event. wall_offset: add it to a MonoTime to get the wall time.
  virtual void on_event(const Event& event, Nanos wall_offset) = 0;
  // The observer has been given everything that is due so far; a good moment to flush. false: the observer can
  // take no more (its output is closed, or it has all that it wants); of what comes then it is only told the end.
  [[nodiscard]] virtual auto flush() -> bool = 0;
  // In how long flush() is to be called although no event comes, such as to try a full disk again; none: not at all.
  // Asked before the observer's thread sleeps.
  [[nodiscard]] virtual auto flush_due() const -> std::optional<Nanos> { return std::nullopt; }
  // Before the first event. `wake` may be called later, from any thread: flush_due() is then asked anew.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): who has a use for it keeps it.
  virtual void set_wake(std::function<void()> /*wake*/) {}
  // The last call: nothing comes any more.
  virtual void on_end() {}
};

}  // namespace weir::event
