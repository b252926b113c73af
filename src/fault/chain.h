#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/block.h"
#include "base/compact_optional.h"
#include "base/fifo.h"
#include "base/ids.h"
#include "fault/byte_budget.h"
#include "fault/framing.h"
#include "fault/proxy_faults.h"
#include "fault/seat.h"
#include "fault/stage.h"

namespace weir::fault {

class Selection;

// Told once for each fault of a session, when it comes into force there.
using OnBegan = std::function<void(const FaultSpec&)>;

// One fault in one session: owned by the session's SessionFaults, shared by its one or two stages.
struct SessionFault {
  std::shared_ptr<const FaultSpec> spec;
  SessionState state;
  std::shared_ptr<SharedState> scope;  // null: the state is the session's own
  std::shared_ptr<FaultCounters> counters;
  Draws draws[2];                     // by Direction
  bool counted = false;               // in counters->sessions
  const OnBegan* on_began = nullptr;  // null: nobody wants to know

  [[nodiscard]] auto shared() -> SharedState& { return scope ? *scope : state.own; }
};

// What a chain is told with every call.
struct Moment {
  MonoTime now{};
  bool sink_blocked = false;  // what was released waits for the sink
};

// Where a chain stands, and what bounds it.
struct ChainPlace {
  Direction direction{};
  BlockPool& blocks;
  MonoTime accepted{};                              // when the session began
  std::uint64_t offset = 0;                         // of the next byte in the direction's stream
  std::uint64_t queue_limit = default_queue_limit;  // bytes held from which on the source is not read
  ByteBudget* budget = nullptr;                     // of the process; null: none
  const Framings* framings = nullptr;               // of the session; null: none, ever

  // Some framer has to see the bytes, whether or not a fault is in their path.
  [[nodiscard]] auto is_watched() const -> bool { return any_watches(framings, direction); }
};

// The path of one direction's bytes through the faults of one session: what one releases enters the next,
// and what the last releases is due at the sink. Each fault stands in a slot, which knows when the fault
// begins and ends:
//
//   waiting --age or offset reached--> active --"for" is over, or removed--> over
//
// Bytes pass through a slot that is not active; a stage exists while it is. In front of all slots stand the
// session's framers, which find the messages that selectors (selection.h) go by. On the worker's thread;
// owned by the pump, null until a fault applies, and goes before the SessionFaults.
class Chain {
 public:
  explicit Chain(const ChainPlace& place);
  ~Chain();
  Chain(const Chain&) = delete;
  auto operator=(const Chain&) -> Chain& = delete;

  // The faults from now on, in order. One that was there keeps its stage and what that holds; `changed`
  // holds those whose spec is another now. One that is gone releases what it holds, at once and in order.
  // If those that stay change their order, all of them do.
  void set(Moment moment, std::span<SessionFault* const> faults, std::span<SessionFault* const> changed);

  // Room for the next read, of at most `size` bytes and at most 256 KiB; less when faults hold all that they may. Valid
  // until the next call on the chain or its pool; empty if memory is exhausted.
  [[nodiscard]] auto room(std::size_t size) -> std::span<std::byte>;
  // The first n bytes of the room were read: a slice that keeps little more memory than that, charged to the budget.
  [[nodiscard]] auto keep(std::size_t n) -> Slice;
  // The next bytes of the stream.
  void on_chunk(Moment moment, Slice bytes);
  // The source sent FIN.
  void on_end(Moment moment);
  // At or after alarm().
  void on_alarm(Moment moment);
  // Asked for by take_wants_room(): the sink takes more.
  void on_room(Moment moment);
  // The session is being ended in order: everything that is held goes out, and the end behind it.
  void on_session_end(Moment moment);
  // What is held goes nowhere: the direction has ended by a stage's wish, ...
  void give_up_held();
  // ... or the sink is gone, so what was released goes nowhere either.
  void cut();

  // Let go by the last stage and not yet taken to the sink; each is one send.
  [[nodiscard]] auto has_released() const -> bool { return !released_.empty(); }
  [[nodiscard]] auto take_released() -> Slice;
  // Bytes of the stream taken in, and neither released nor dropped.
  [[nodiscard]] auto held() const -> std::uint64_t { return held_; }
  [[nodiscard]] auto alarm() const -> CompactOptional<MonoTime> { return alarm_; }
  // The direction's end has come out, or a stage asked for that of the session.
  [[nodiscard]] auto end() const -> std::optional<End> { return end_; }
  // The fault that ended the session, or else was the first to end this direction; null: neither, as its source has
  // finished, or it has not ended.
  [[nodiscard]] auto end_maker() const -> const FaultSpec* { return end_maker_.get(); }
  // Once: a stage found the sink blocked, and is to hear when it is not.
  [[nodiscard]] auto take_wants_room() -> bool { return std::exchange(wants_room_, false); }
  // Nothing is to be read for now: a limit is reached, or a stage wants none. A direction that holds
  // nothing may always read, so that no session waits for another's bytes.
  [[nodiscard]] auto is_full() const -> bool;
  void count_full();
  // It does nothing any more: it may be taken out of the path when nothing is held or released.
  [[nodiscard]] auto is_spent() const -> bool { return slots_.empty() && !any_watches(framings_, direction_); }

  // What a message that is remembered counts as, in bytes held. Lines of one byte each would otherwise take sixty
  // times the memory that is allowed.
  static constexpr std::uint64_t cost_of_message = 64;
  // The smallest read, when faults hold all that they may.
  static constexpr std::size_t read_when_full = 4096;

  struct Slot;  // chain.cpp's alone

 private:
  friend class StageContext;
  void begin(Moment moment) { now_ = moment.now, sink_blocked_ = moment.sink_blocked; }
  void feed(std::size_t at, Chunk&& chunk);
  void feed_selected(std::size_t at, Chunk&& chunk);
  void leave_slot(std::size_t at, Chunk&& chunk);
  void release_waiting(std::size_t at);
  void release_joined(std::size_t at);
  // Calls call(stage, context) on the slot's stage.
  template <class Call>
  void call(std::size_t at, Call call);
  [[nodiscard]] auto selection_for(const SessionFault& fault) -> std::unique_ptr<Selection>;
  void input_ended(std::size_t at);
  void note_maker(const SessionFault& fault, End how, bool source_ended);
  void ended(std::size_t at, End how);
  void enter(std::size_t at);
  void activate(std::size_t at);
  void retire(std::size_t at);
  void update(std::size_t at);
  void settle();
  void forget_messages();
  // They were released or dropped, or are given up.
  void uncount_held(std::uint64_t bytes) { held_ -= std::min(held_, bytes); }
  [[nodiscard]] auto starts_at(const Slot& slot) const -> CompactOptional<MonoTime>;
  [[nodiscard]] auto stages_take_more() const -> bool;
  [[nodiscard]] auto charged() const -> std::atomic<std::uint64_t>* {
    return budget_ == nullptr ? nullptr : budget_->charged();
  }
  [[nodiscard]] auto queue_memory() const -> std::uint64_t;
  void count_queues();
  [[nodiscard]] auto limited() const -> std::uint64_t { return held_ + counted_queues_; }

  BlockPool& blocks_;
  ByteBudget* budget_;
  const Framings* framings_;
  std::vector<Slot> slots_;  // their number changes in set() alone
  Fifo<Slice> released_;
  BlockFill fill_;
  std::size_t room_ = 0;  // of the last room()
  std::uint64_t queue_limit_;
  std::uint64_t counted_queues_ = 0;  // bytes of queues that were counted last, in the budget too
  std::uint64_t offset_;              // of the next byte that comes in
  std::uint64_t held_ = 0;
  MonoTime accepted_;
  MonoTime now_{};
  CompactOptional<MonoTime> alarm_;
  std::shared_ptr<const FaultSpec> end_maker_;
  std::uint32_t messages_ = 0;  // remembered; this and what follows share a word
  std::optional<End> end_;
  End last_ = End::fin;  // how the direction's end is told
  Direction direction_;
  bool sink_blocked_ = false;
  bool wants_room_ = false;
  bool full_told_ = false;  // that it is full was counted
  bool input_ended_ = false;
  bool out_ended_ = false;  // and it was told
  bool reset_ = false;      // a stage asked for RST
  bool told_to_end_ = false;
};

}  // namespace weir::fault
