#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/block.h"
#include "base/compact_optional.h"
#include "base/ids.h"
#include "fault/proxy_faults.h"
#include "fault/seat.h"
#include "fault/stage.h"

namespace weir::fault {

// Told once for each fault of a session, when it comes into force there.
using OnBegan = std::function<void(const FaultSpec&, MonoTime)>;

// One fault in one session: owned by the session's SessionFaults, shared by its one or two stages.
struct SessionFault {
  std::shared_ptr<const FaultSpec> spec;
  SessionState state;
  std::shared_ptr<SharedState> scope;  // null: the state is the session's own
  std::shared_ptr<FaultCounters> counters;
  Draws draws[2];                     // by Direction
  bool counted = false;               // in counters->sessions
  bool ended_session = false;         // it asked for the session's end
  const OnBegan* on_began = nullptr;  // null: nobody wants to know

  [[nodiscard]] auto shared() -> SharedState& { return scope ? *scope : state.own; }
};

// The faults of one direction of one session, in a row: what one releases enters the next. To the pump
// it is one stage. Each fault stands in a slot, which knows when the fault begins and ends:
//
//   waiting --age or offset reached--> active --"for" is over, or removed--> over
//
// Bytes pass through a slot that is not active; a stage exists while it is. On the worker's thread;
// owned by the pump, and goes before the SessionFaults.
class Chain final : public Stage {
 public:
  // offset: of the next byte in the direction's stream. accepted: when the session began.
  Chain(Direction direction, BlockPool& blocks, MonoTime accepted, std::uint64_t offset);
  ~Chain() override;
  Chain(const Chain&) = delete;
  auto operator=(const Chain&) -> Chain& = delete;

  // The faults from now on, in order. One that was there keeps its stage and what that holds; `changed`
  // holds those whose spec is another now. One that is gone releases what it holds, at once and in order.
  // If those that stay change their order, all of them do.
  void set(StageContext& outer, std::span<SessionFault* const> faults, std::span<SessionFault* const> changed);

  void on_chunk(StageContext& outer, Slice bytes) override;
  void on_end(StageContext& outer) override;
  void on_alarm(StageContext& outer) override;
  void on_room(StageContext& outer) override;
  void on_session_end(StageContext& outer) override;
  [[nodiscard]] auto takes_more() const -> bool override;
  [[nodiscard]] auto is_spent() const -> bool override { return slots_.empty(); }

  struct Slot;  // chain.cpp's alone

 private:
  class SlotContext;
  void feed(StageContext& outer, std::size_t at, Slice bytes);
  void feed_active(StageContext& outer, std::size_t at, Slice bytes);
  void input_ended(StageContext& outer, std::size_t at);
  void ended(StageContext& outer, std::size_t at, End how);
  void enter(StageContext& outer, std::size_t at);
  void activate(StageContext& outer, std::size_t at);
  void retire(StageContext& outer, std::size_t at);
  void update(StageContext& outer, std::size_t at);
  void rearm(StageContext& outer);
  [[nodiscard]] auto starts_at(const Slot& slot) const -> CompactOptional<MonoTime>;

  BlockPool& blocks_;
  std::vector<Slot> slots_;  // their number changes in set() alone
  MonoTime accepted_;
  std::uint64_t offset_;  // of the next byte that comes in
  End last_ = End::fin;   // how the direction's end is told to the pump
  bool input_ended_ = false;
  bool out_ended_ = false;  // and it was
  bool reset_ = false;      // it asked for RST
  Direction direction_;
};

}  // namespace weir::fault
