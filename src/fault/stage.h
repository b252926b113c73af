// What a fault's author writes: the state of one fault in one direction of one session. docs/adding-a-fault.md
// shows one being added; chain.h runs them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/block.h"
#include "base/clock.h"

namespace weir::fault {

class Chain;
struct FaultSpec;

// How a stage may end things.
enum class End : unsigned char {
  fin,            // this direction: FIN to the sink, after what was emitted; no more is read
  session_fin,    // both directions, in order: each as if its source had sent FIN
  session_reset,  // both legs get RST, now
};

// What of a message a chunk holds. Only a fault with a selector (on=...) has its chunks framed: each then
// lies in one selected message, and other bytes never come to the stage.
struct Marks {
  bool framed = false;
  bool begins = false;  // these are the message's first bytes
  bool ends = false;    // and these its last
};

// Bytes of a direction on their way, and their place in the stream as its source sent it.
struct Chunk {
  Slice bytes;
  std::uint64_t offset = 0;  // of the first byte, from 0
  Marks marks = {};
  bool goes_on = false;  // the next chunk was cut off here by the chain alone, where a message ends

  [[nodiscard]] auto size() const -> std::size_t { return bytes.size(); }
  [[nodiscard]] auto empty() const -> bool { return bytes.empty(); }
  [[nodiscard]] auto end() const -> std::uint64_t { return offset + bytes.size(); }
  // What draws once for a message draws now; without messages, each chunk is as one.
  [[nodiscard]] auto is_new() const -> bool { return marks.begins || !marks.framed; }
  // Takes the first n bytes out; n <= size().
  [[nodiscard]] auto take(std::size_t n) -> Chunk {
    if (n == bytes.size()) return std::exchange(*this, Chunk{.bytes = {}, .offset = end()});
    Chunk first{.bytes = bytes.prefix(n), .offset = offset, .marks = marks};
    if (n == 0) return first;
    first.marks.ends = marks.begins = false;
    bytes.remove_prefix(n);
    offset += n;
    return first;
  }
};

// What a stage may do, given to it with every call; valid during the call only.
class StageContext {
 public:
  StageContext(Chain& chain, std::size_t place) : chain_(chain), place_(place) {}
  [[nodiscard]] auto now() const -> MonoTime;
  // Passes bytes to the next fault, or to the sink, in order; one emit is one send there.
  void emit(Chunk&& chunk);
  // So many of the bytes taken in, the next in order, will never be emitted.
  void drop(std::size_t count);
  // Have on_alarm called at or after `when`; one alarm per stage, the last call counts.
  void arm(MonoTime when);
  void disarm();
  void end(End how);
  // What was emitted waits for the sink; on_room is called when it takes more.
  [[nodiscard]] auto sink_is_blocked() -> bool;

 private:
  Chain& chain_;
  std::size_t place_;
};

// A fault's state for one direction of one session. Sans-io: no socket, no thread, no real clock.
// It keeps what it holds in a FIFO of its own, whose memory() it tells; the chain counts what went in and what came
// out, and the source is not read while the difference and that memory are the direction's limit.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual void on_open(StageContext&) {}
  virtual void on_chunk(StageContext& context, Chunk chunk) = 0;
  // The source sent FIN. A stage that holds bytes ends the direction after it has emitted them.
  virtual void on_end(StageContext& context) { context.end(End::fin); }
  virtual void on_alarm(StageContext&) {}
  virtual void on_room(StageContext&) {}
  // The fault was changed; what the stage has counted and drawn stays. What it holds and would release
  // sooner now is released sooner.
  virtual void on_update(StageContext&, const FaultSpec&) {}
  // The last call: releases at once and in order all that the stage holds, and the end if it holds that.
  virtual void on_remove(StageContext&) {}
  // Bytes of its queues: the places of what it holds, and not the payload.
  [[nodiscard]] virtual auto memory() const -> std::size_t { return 0; }
  // False: it wants no more bytes yet, so none are read.
  [[nodiscard]] virtual auto takes_more() const -> bool { return true; }
};

}  // namespace weir::fault
