// Room proxy/, floor 6: a session and its two pumps, the worker they live on, and their timeouts.
// Start with docs/life-of-a-session.md, then this file (what a pump asks of its ends), pump.h (one
// direction), relay.h (both, and how they end), session.h (the phases). Includes base/, net/,
// event/ and fault/; never an observer.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/clock.h"
#include "event/leg_counters.h"

namespace weir::proxy {

enum class IoStatus : std::uint8_t {
  ok,
  would_block,  // nothing now; an edge will come
  end,          // reads only: FIN
  broken,       // the leg is gone: reset, timeout, another error
};

struct IoResult {
  IoStatus status = IoStatus::ok;
  int error = 0;          // errno, if broken
  std::size_t bytes = 0;  // > 0 if ok
};

struct ReadResult : IoResult {
  std::optional<WallTime> kernel_time{};  // when the kernel received them, if that was asked for
};

// Which readiness a blocked call waits for. TLS may need to write before it can read.
enum class Want : std::uint8_t { readable, writable };

// The kernel's times that an end is asked to take.
struct StampWishes {
  bool received = false;      // of bytes that are read from it
  bool sent = false;          // of bytes that are written to it
  bool acknowledged = false;  // the same
  [[nodiscard]] auto any() const -> bool { return received || sent || acknowledged; }
  auto operator==(const StampWishes&) const -> bool = default;
};

// One of the kernel's times of bytes that were written to an end: all up to end_offset were sent, or were
// acknowledged by the peer's kernel. Those of one kind come with offsets that never fall.
struct TransmitStamp {
  enum class What : std::uint8_t { sent, acknowledged };
  WallTime time{};
  std::uint64_t end_offset = 0;
  What what{};
};
// As many as one call hands out at most.
using TransmitStamps = std::array<TransmitStamp, 32>;

// What the pump and the relay ask of one end of a leg. LegEnd is the real one; tests use a
// scripted kernel and a fake TLS end. All calls are non-blocking, on the loop's thread.
template <class E>
concept Endpoint = requires(E end, const E& const_end, std::span<std::byte> into, std::span<const std::byte> from,
                            typename E::Pipe& pipe, std::size_t n, const StampWishes& wishes, std::uint64_t written,
                            TransmitStamps& stamps) {
  { end.read(into) } -> std::same_as<ReadResult>;
  { end.write(from) } -> std::same_as<IoResult>;
  // Bytes inside the end that no edge will announce (decrypted TLS); true only if a read would return
  // some. A read that leaves more in the socket, as it returns one record at a time, needs this or
  // the leg's short_read_proves_nothing; a write may fall short of `from` only when it would block.
  { const_end.buffered() } -> std::same_as<bool>;
  // What the last read, or the last write or close_write, that would block waits for. Back to the
  // usual when another call on the end may have brought it.
  { const_end.read_want() } -> std::same_as<Want>;
  { const_end.write_want() } -> std::same_as<Want>;
  // Sends FIN; would_block: incomplete, call again when ready (TLS close_notify).
  { end.close_write() } -> std::same_as<IoResult>;
  // Bytes the peer's kernel has not acknowledged.
  { const_end.unsent() } -> std::same_as<std::size_t>;
  // Has the connection ended without our doing? Consumes nothing.
  { const_end.dead() } -> std::same_as<bool>;
  // From now on the end takes these times, as far as it can. `written`: how many bytes of the stream were written to
  // it so far; stamps of later ones count from there.
  { end.take_stamps(wishes, written) } -> std::same_as<void>;
  // The error flag was raised: takes the notices that also raise it away, and hands out the stamps among them, oldest
  // first. Returns how many. Not all at once: what is left raises the flag again.
  { end.drain_notices(stamps) } -> std::same_as<std::size_t>;
  // The kernel's counters as they stand, but for `leg` and `point`; none of a leg that has none.
  { const_end.counters() } -> std::same_as<std::optional<event::LegCounters>>;
  { end.close() } -> std::same_as<void>;  // in order; FIN if none was sent
  { end.reset() } -> std::same_as<void>;  // RST, unsent bytes are discarded
  // Bytes move between the end and a pipe inside the kernel, if both sides can.
  { const_end.can_splice() } -> std::same_as<bool>;
  { end.splice_in(pipe, n) } -> std::same_as<IoResult>;
  { end.splice_out(pipe) } -> std::same_as<IoResult>;
};

// One of a session's two stream sockets: its end, and what is known of it.
template <class E>
struct Leg {
  E end;
  // Hints from edges, cleared by would_block or a short read.
  bool readable = false;
  bool writable = false;
  // A FIN or urgent data may follow what was read without an edge of its own: a short read then
  // does not mean that nothing is left.
  bool short_read_proves_nothing = false;
  bool broken = false;  // by any call, for good: see the ends in relay.h
  int error = 0;        // why, as soon as it is known

  [[nodiscard]] auto can_read() const -> bool {
    return end.buffered() || (end.read_want() == Want::readable ? readable : writable);
  }
  [[nodiscard]] auto can_write() const -> bool { return end.write_want() == Want::writable ? writable : readable; }
  void read_blocked() { (end.read_want() == Want::readable ? readable : writable) = false; }
  void write_blocked() { (end.write_want() == Want::writable ? writable : readable) = false; }
  void break_with(int why) {
    broken = true;
    if (error == 0) error = why;
  }
};

}  // namespace weir::proxy
