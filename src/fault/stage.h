// Room fault/, floor 5: what changes, holds or ends a direction's bytes. Today it holds only the
// contract between a fault and the pump that runs it; the faults, one file each, and the catalog that
// describes them come to stand beside it. Includes base/ and event/ only.
#pragma once

#include "base/block.h"
#include "base/clock.h"

namespace weir::fault {

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
  // Have on_alarm called at or after `when`; one alarm per stage, the last call counts.
  virtual void arm(MonoTime when) = 0;
  virtual void disarm() = 0;
  virtual void end(End how) = 0;

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
};

}  // namespace weir::fault
