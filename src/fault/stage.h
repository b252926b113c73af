// Room fault/, floor 5: what changes, holds or ends a direction's bytes. Each fault is one file that
// describes it and is its stage; catalog.h lists them, chain.h runs several in a row, session_faults.h
// says which apply to a session. Includes base/ and event/ only. Start with this file, then latency.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/block.h"
#include "base/clock.h"

namespace weir::fault {

struct FaultSpec;

// How a stage may end things.
enum class End : unsigned char {
  fin,            // this direction: FIN to the sink, after what was emitted; no more is read
  session_fin,    // both directions, in order: each as if its source had sent FIN
  session_reset,  // both legs get RST, now
};

// What a stage may do, given to it with every call; valid during the call only.
class StageContext {
 public:
  [[nodiscard]] virtual auto now() const -> MonoTime = 0;
  // Hands bytes on, in order; one emit is one send at the sink.
  virtual void emit(Slice bytes) = 0;
  // So many of the bytes taken in will never be emitted.
  virtual void drop(std::size_t count) = 0;
  // Have on_alarm called at or after `when`; one alarm per stage, the last call counts.
  virtual void arm(MonoTime when) = 0;
  virtual void disarm() = 0;
  virtual void end(End how) = 0;
  // Of the chunk's first byte in the direction's stream, from 0; in on_chunk only.
  [[nodiscard]] virtual auto offset() const -> std::uint64_t = 0;
  // What was emitted waits for the sink; on_room is called when it takes more.
  [[nodiscard]] virtual auto sink_is_blocked() const -> bool = 0;

 protected:
  ~StageContext() = default;
};

// A fault's state for one direction of one session. Sans-io: no socket, no thread, no real clock.
// It keeps what it holds in a FIFO of its own; the pump counts what went in and what came out, and
// stops reading the source when the difference reaches the direction's budget.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual void on_open(StageContext&) {}
  virtual void on_chunk(StageContext& context, Slice bytes) = 0;
  // The source sent FIN. A stage that holds bytes ends the direction after it has emitted them.
  virtual void on_end(StageContext& context) { context.end(End::fin); }
  virtual void on_alarm(StageContext&) {}
  virtual void on_room(StageContext&) {}
  // The fault was changed; what the stage has counted and drawn stays. What it holds and would release
  // sooner now is released sooner.
  virtual void on_update(StageContext&, const FaultSpec&) {}
  // The last call: releases at once and in order all that the stage holds, and the end if it holds that.
  virtual void on_remove(StageContext&) {}
  // To the stage that the pump has: the session is being ended in order.
  virtual void on_session_end(StageContext& context) { on_end(context); }
  // False: it wants no more bytes yet, so none are read.
  [[nodiscard]] virtual auto takes_more() const -> bool { return true; }
  // True: it does nothing any more, so it may be taken out of the path.
  [[nodiscard]] virtual auto is_spent() const -> bool { return false; }
};

}  // namespace weir::fault
