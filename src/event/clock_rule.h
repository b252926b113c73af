#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace weir::event {

// What can start a clock of a session, move it on or stop it. The session says when each of them
// happens, begins to hold or ends.
enum class ClockFact : std::uint8_t {
  // With a time, from which a clock can count.
  accepted,       // the session began
  connected,      // both legs are connected: bytes can flow
  byte_moved,     // a byte was read or written, in either direction
  fin_read,       // the first FIN of the two legs
  write_blocked,  // bytes wait for a leg that takes none; each byte that it takes moves the time on
  // Without a time.
  client_spoke,  // a byte came from the client at some time
  server_spoke,
  clients_turn,  // the last byte came from the server, or none came yet
  servers_turn,  // the last byte came from the client
  held_back,     // bytes wait for Weir: in a fault's queue, or in the kernel while an observer is slow
};
inline constexpr std::size_t clock_facts = 10;
inline constexpr std::size_t timed_clock_facts = 5;  // the first so many have a time

class ClockFacts {
 public:
  constexpr ClockFacts() = default;
  constexpr ClockFacts(std::initializer_list<ClockFact> facts) {
    for (const ClockFact fact : facts) set(fact, true);
  }
  [[nodiscard]] constexpr auto has(ClockFact fact) const -> bool { return (bits_ & bit(fact)) != 0; }
  [[nodiscard]] constexpr auto any_of(ClockFacts others) const -> bool { return (bits_ & others.bits_) != 0; }
  constexpr void set(ClockFact fact, bool holds) {
    bits_ = static_cast<std::uint16_t>((bits_ & ~bit(fact)) | (holds ? bit(fact) : 0));
  }
  // Those of one and those of the other that they do not share.
  [[nodiscard]] constexpr auto differing_from(ClockFacts others) const -> ClockFacts {
    ClockFacts differing;
    differing.bits_ = static_cast<std::uint16_t>(bits_ ^ others.bits_);
    return differing;
  }
  constexpr auto operator==(const ClockFacts&) const -> bool = default;

 private:
  static constexpr auto bit(ClockFact fact) -> std::uint16_t {
    return static_cast<std::uint16_t>(1U << static_cast<unsigned>(fact));
  }
  std::uint16_t bits_ = 0;
};

// A pause of ours stops the clocks that pause and moves the times of these facts on by its length.
// So a clock that pauses counts from these alone, and one that does not pause from the others.
inline constexpr ClockFacts moved_on_by_pauses{ClockFact::connected, ClockFact::byte_moved, ClockFact::fin_read};

// The part of Weir's work in which a clock runs, and so who runs it.
enum class ClockPhase : std::uint8_t {
  opening,                  // a session before its stream: what is said before the upstream is chosen
  resolving,                // a session's opening
  connecting,               // a session's opening
  session,                  // all of a session, from accept on
  relaying,                 // a session whose legs are both connected
  delivering_before_reset,  // a session that has a reset to pass on
  stopping,                 // the process
  kernel,                   // no clock of ours: a socket option
};

// The leg that is to blame when a clock runs out.
enum class Blame : std::uint8_t {
  neither,
  client,
  server,
  stalled_leg,  // the one that takes no bytes; only the session knows which
};

// How a clock runs while a session relays; a row of timeout_catalog() has one if its phase is `relaying`
// or `session`.
struct ClockRule {
  ClockFact starts = ClockFact::accepted;  // with a time; the clock counts from it and does not run before it
  ClockFacts moved_on_by{};                // with a time each; the clock counts from the latest of all of these
  ClockFacts stopped_by{};                 // the clock does not run while one of these holds
  bool pauses = false;                     // the clock stands still while Weir itself holds bytes back
  std::uint8_t precedence = 0;             // the lower is named when two run out at the same moment
};

}  // namespace weir::event
