#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

#include "base/block.h"
#include "base/clock.h"
#include "base/compact_optional.h"
#include "base/ids.h"
#include "base/seeded_random.h"
#include "fault/spec.h"

namespace weir::fault {

// What all that share a scope share: the only thing of a fault that two workers may touch at once.
struct SharedState {
  std::atomic<std::int64_t> next_free{std::numeric_limits<std::int64_t>::min()};  // ns, MonoTime
  std::atomic<std::uint64_t> counted{0};                                          // bytes
};

// One fault's state in one session. With direction = both its two stages share it.
struct SessionState {
  SharedState own;                    // where scope = session
  CompactOptional<MonoTime> begun;    // since when it applies: see After
  CompactOptional<MonoTime> touched;  // its last input in either direction
};

// Where a stage stands: given to it when it is made.
struct Seat {
  const FaultSpec& spec;
  Direction direction;
  Draws draws;            // of this session, direction and fault, to be indexed by stream offset
  SessionState& session;  // this and the next outlive the stage
  SharedState& shared;    // of its scope
  BlockPool& blocks;      // for a stage that changes bytes; a slice that copy() gives is empty if memory is exhausted
  std::atomic<std::uint64_t>* charged;  // what such copies are charged to; null: nothing
};

}  // namespace weir::fault
