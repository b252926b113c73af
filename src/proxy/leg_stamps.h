// The kernel's times of one leg: SO_TIMESTAMPING, switched on and off, and what it says in control messages.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "proxy/endpoint.h"

namespace weir::proxy {

// How a transmit stamp finds its bytes: the kernel numbers the bytes of a TCP socket from where it was told to
// (SOF_TIMESTAMPING_OPT_ID), and a stamp carries the number of the last byte of its send, 32 bits wide. Here they
// become offsets in the direction's stream, however long it is.
//
// For a connected TCP socket, which it does not own; on the loop's thread.
class LegStamps {
 public:
  // What the kernel numbers bytes from, when it is told to begin: the next byte to be written (OPT_ID_TCP, Linux 6.2),
  // or the oldest one that is not acknowledged.
  enum class NumbersFrom : std::uint8_t { next_write, oldest_unacknowledged };

  explicit LegStamps(NumbersFrom best = NumbersFrom::next_write) : best_(best) {}

  // Asks the kernel for these times and no others; none: all off. `written`: see Endpoint::take_stamps. What it
  // refuses does not come. Stamps of bytes that were written before have no offset of their own and are dropped.
  void set(int fd, const StampWishes& wishes, std::uint64_t written);
  // Bytes are numbered: stamps of what is sent or acknowledged may come.
  [[nodiscard]] auto is_numbered() const -> bool { return numbered_; }
  // What was last asked for.
  [[nodiscard]] auto wishes() const -> const StampWishes& { return wishes_; }

  // What a message of the error queue says (nothing in it is changed: CMSG_NXTHDR takes no const); none if it is no
  // stamp, or of fewer bytes than one before it.
  [[nodiscard]] auto transmit_stamp(msghdr& notice) -> std::optional<TransmitStamp>;
  // The time that a message carries: of the error queue, or of what was read (then when its last byte came); none if it
  // carries none.
  [[nodiscard]] static auto kernel_time(msghdr& message) -> std::optional<WallTime>;

 private:
  [[nodiscard]] auto begin_numbers(int fd, unsigned flags, std::uint64_t written) -> bool;

  StampWishes wishes_;
  NumbersFrom best_;
  bool numbered_ = false;
  std::uint64_t base_ = 0;                  // offset of the byte with number 0
  std::array<std::uint64_t, 2> reached_{};  // by TransmitStamp::What: no later stamp is of fewer bytes
};

}  // namespace weir::proxy
