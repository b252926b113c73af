// What the packets of a capture show of the time before a chunk, which no socket tells.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "base/ids.h"

namespace weir::event {

// The bytes that come next were passed on by a relay whose other connection is in the capture too: what was lost from
// `begin` to `arrived` is told of that connection, and is not told again.
struct Relayed {
  SessionNumber other{};
  MonoTime begin{};    // the other connection's exchange began
  MonoTime arrived{};  // and these bytes were seen on it
};

// Told before the ChunkRead or SessionOpened that it is about, where some time has passed since the last one of either
// direction: "the wait". All times are those of the point at which the packets were captured. Counts are of the wait
// alone.
struct PacketEvidence {
  Direction direction{};  // of the chunk that ended the wait
  bool answers = false;   // packets of the receiver of that direction were seen at all
  // All bytes that the direction had sent before the wait were acknowledged before the chunk came.
  bool acknowledged = false;
  std::optional<Nanos> ack_took{};    // from the last of those bytes to their ACK, if that came during the wait
  Nanos left_after{};                 // and from that ACK to the chunk
  std::array<Nanos, 2> round_trip{};  // by LegName: the least seen from the capture point to there and back; 0: unknown
  std::array<std::uint32_t, 2> again{};  // by Direction: segments that were seen before, so lost behind that point
  std::array<Nanos, 2> again_after{};    // by Direction: from the wait's begin to the last of them
  std::array<std::uint32_t, 2> twice{};  // by Direction: the receiver said that it had bytes already (DSACK)
  std::uint64_t waited_behind_hole = 0;  // bytes that had been seen and waited for the chunk, which was before them
  std::array<Nanos, 2> window_closed{};  // by LegName: how long its receive window was 0
  std::uint32_t connects = 0;            // SYN of the client, seen until the connection was made
  std::uint32_t accepts = 0;             // SYN+ACK of the server
  std::optional<Relayed> relayed{};
};

}  // namespace weir::event
