#include "fault/chain.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "fault/chain_slot.h"

namespace weir::fault {

auto StageContext::now() const -> MonoTime { return chain_.now_; }

void StageContext::emit(Chunk&& chunk) {
  if (chunk.empty()) return;
  Chain::Slot& slot = chain_.slots_[place_];
  slot.held -= std::min<std::uint64_t>(slot.held, chunk.size());
  if (!slot.selection) {
    slot.out = chunk.end();
    return chain_.feed(place_ + 1, std::move(chunk));
  }
  slot.selection->stage_is_done_with(chunk.size());
  chain_.leave_slot(place_, std::move(chunk));
  chain_.release_waiting(place_);
}

void StageContext::drop(std::size_t count) {
  Chain::Slot& slot = chain_.slots_[place_];
  slot.held -= std::min<std::uint64_t>(slot.held, count);
  slot.fault->counters->bytes_dropped.fetch_add(count, std::memory_order_relaxed);
  chain_.uncount_held(count);
  if (!slot.selection) return;
  slot.selection->stage_is_done_with(count);
  chain_.release_waiting(place_);
}

void StageContext::arm(MonoTime when) { chain_.slots_[place_].alarm = when; }
void StageContext::disarm() { chain_.slots_[place_].alarm.reset(); }
void StageContext::end(End how) { chain_.ended(place_, how); }
auto StageContext::sink_is_blocked() -> bool {
  chain_.wants_room_ |= chain_.sink_blocked_;
  return chain_.sink_blocked_;
}

Chain::Chain(const ChainPlace& place)
    : blocks_(place.blocks),
      budget_(place.budget),
      framings_(place.framings),
      fill_(charged()),
      queue_limit_(place.queue_limit),
      offset_(place.offset),
      accepted_(place.accepted),
      direction_(place.direction) {}

Chain::~Chain() {
  if (budget_ != nullptr) budget_->give(counted_queues_);
}

auto Chain::room(std::size_t size) -> std::span<std::byte> {
  room_ = budget_ != nullptr && budget_->is_full() ? std::min(size, read_when_full) : size;
  return blocks_.own_space(room_);
}

auto Chain::keep(std::size_t n) -> Slice {
  // What nearly fills its block takes it along. The rest is copied, out of the processor's cache: a few bytes must not
  // keep a block for as long as a fault holds them.
  if (n < room_ - room_ / 8) {
    Slice copy = fill_.copy(blocks_, blocks_.own_space(room_).first(n), held_);
    if (copy.size() == n) return copy;
  }
  return blocks_.commit_own(n, charged());
}

void Chain::on_chunk(Moment moment, Slice bytes) {
  begin(moment);
  held_ += bytes.size();
  full_told_ = false;
  const std::uint64_t offset = std::exchange(offset_, offset_ + bytes.size());
  if (framings_ != nullptr && *framings_ != nullptr) {
    for (const auto& each : **framings_) {
      if (each->watches(direction_)) each->look(direction_, offset, bytes.bytes());
    }
  }
  feed(0, {.bytes = std::move(bytes), .offset = offset});
  settle();
}

void Chain::on_end(Moment moment) {
  begin(moment);
  input_ended_ = true;
  input_ended(0);
  settle();
}

// Out of a slot with a selector, and into the next.
void Chain::leave_slot(std::size_t at, Chunk&& chunk) {
  Slot& slot = slots_[at];
  slot.out = chunk.end();
  Chunk ready = slot.selection->join(std::move(chunk));
  if (!ready.empty()) feed(at + 1, std::move(ready));
}

// What waited for what the stage has emitted or dropped now.
void Chain::release_waiting(std::size_t at) {
  Selection& selection = *slots_[at].selection;
  while (selection.front_may_go()) leave_slot(at, selection.take_front());
}

// The call is over: nothing comes that could be joined to the last that went out.
void Chain::release_joined(std::size_t at) {
  if (!slots_[at].selection) return;
  Chunk last = slots_[at].selection->take_last();
  if (!last.empty()) feed(at + 1, std::move(last));
}

void Chain::feed(std::size_t at, Chunk&& chunk) {
  if (at == slots_.size()) {
    uncount_held(chunk.size());
    if (!out_ended_) released_.push_back(std::move(chunk.bytes));
    return;
  }
  Slot& slot = slots_[at];
  if (slot.ended || slot.input_ended) return uncount_held(chunk.size());
  if (slot.gate == Gate::waiting && slot.fault->state.begun) activate(at);  // in the other direction
  if (slot.gate_at && *slot.gate_at <= now_) {
    slot.gate == Gate::waiting ? activate(at) : retire(at);
    if (slot.ended) return uncount_held(chunk.size());
  }
  if (slot.gate == Gate::waiting) {
    const auto* begin = std::get_if<ByteOffset>(&slot.spec->after);
    if (begin != nullptr && chunk.end() > begin->bytes) {
      const auto before = static_cast<std::size_t>(begin->bytes - std::min(begin->bytes, chunk.offset));
      if (before > 0) {  // mutant: offset-rounded-to-a-chunk
        slot.in = slot.out = begin->bytes;
        feed(at + 1, chunk.take(before));
      }
      activate(at);
    }
  }
  if (slot.gate != Gate::active) {
    slot.in = slot.out = chunk.end();
    return feed(at + 1, std::move(chunk));
  }
  if (slot.ended) return uncount_held(chunk.size());
  if (slot.selection) return feed_selected(at, std::move(chunk));
  chunk.marks = {};
  chunk.goes_on = false;
  slot.held += chunk.size();
  slot.in = chunk.end();
  StageContext context(*this, at);
  slot.stage->on_chunk(context, std::move(chunk));
}

void Chain::feed_selected(std::size_t at, Chunk&& chunk) {
  Slot& slot = slots_[at];
  StageContext context(*this, at);
  while (!chunk.empty() && !slot.ended) {
    const auto part = slot.selection->next(chunk.offset, chunk.size());
    Chunk piece = chunk.take(part.size);
    piece.marks = part.marks;
    piece.goes_on = !chunk.empty();
    slot.in = piece.end();
    if (part.is_selected) {
      slot.held += piece.size();
      slot.selection->stage_took(piece.size());
      slot.stage->on_chunk(context, std::move(piece));
    } else if (slot.held == 0 && !slot.selection->has_waiting()) {  // mutant: others-overtake-a-delayed-message
      leave_slot(at, std::move(piece));
    } else {
      slot.selection->wait(std::move(piece));
    }
  }
  uncount_held(chunk.size());  // the stage has ended the direction
  release_joined(at);
}

// No more comes into the slot.
void Chain::input_ended(std::size_t at) {
  if (at == slots_.size()) {
    if (!std::exchange(out_ended_, true)) end_ = last_;
    return;
  }
  Slot& slot = slots_[at];
  if (std::exchange(slot.input_ended, true) || slot.ended) return;
  if (slot.gate == Gate::waiting && slot.fault->state.begun) activate(at);
  if (slot.gate_at && *slot.gate_at <= now_) {
    slot.gate == Gate::waiting ? activate(at) : retire(at);
  }
  if (slot.ended) return;
  if (slot.gate != Gate::active) return ended(at, End::fin);
  call(at, [](Stage& stage, StageContext& context) { stage.on_end(context); });
}

// An end of the session counts more than one of the direction that came before it, and a reset more than both.
void Chain::note_maker(const SessionFault& fault, End how, bool source_ended) {
  if (told_to_end_) return;  // by others
  const bool is_first =
      how == End::fin ? !end_maker_ && !source_ended : !reset_ && (how != End::session_fin || last_ == End::fin);
  if (is_first) end_maker_ = fault.spec;
}

// A slot gives out no more: by its own wish, or as nothing comes in.
void Chain::ended(std::size_t at, End how) {
  Slot& slot = slots_[at];
  note_maker(*slot.fault, how, slot.input_ended);
  if (how == End::session_reset) {
    if (!std::exchange(reset_, true)) end_ = how;
    out_ended_ = true;  // no FIN after it
    return;
  }
  if (how == End::session_fin) last_ = End::session_fin;
  if (slot.ended) return;
  release_joined(at);
  slot.ended = true;
  slot.alarm.reset();
  uncount_held(std::exchange(slot.held, 0));  // what it holds is given up
  if (slot.selection) {
    uncount_held(slot.selection->waiting_bytes());
    slot.selection->forget_waiting();
  }
  input_ended(at + 1);
}

// Those that the last selector has let out.
void Chain::forget_messages() {
  std::uint64_t needed_from = offset_;
  for (const auto& slot : slots_) {
    if (!slot.selection || slot.ended) continue;
    const bool holds = slot.held > 0 || slot.selection->has_waiting();
    needed_from = std::min(needed_from, holds ? slot.out : slot.in);
  }
  std::size_t count = 0;
  for (std::size_t i = 0; *framings_ != nullptr && i < (*framings_)->size(); ++i) {
    Framing& each = *(**framings_)[i];
    if (!each.watches(direction_)) continue;
    each.messages(direction_).forget_until(needed_from);
    count += each.messages(direction_).count();
  }
  messages_ = static_cast<std::uint32_t>(std::min<std::size_t>(count, std::numeric_limits<std::uint32_t>::max()));
}

auto Chain::queue_memory() const -> std::uint64_t {
  std::uint64_t sum = messages_ * cost_of_message + released_.memory();
  for (const auto& slot : slots_) {
    if (slot.stage) sum += slot.stage->memory();
    if (slot.selection) sum += slot.selection->memory();
  }
  return sum;
}

void Chain::count_queues() {
  const std::uint64_t before = std::exchange(counted_queues_, queue_memory());
  if (budget_ == nullptr || counted_queues_ == before) return;
  budget_->take(counted_queues_);
  budget_->give(before);
}

void Chain::on_alarm(Moment moment) {
  begin(moment);
  // The last first: what it lets go came before what the others do.
  for (std::size_t at = slots_.size(); at-- > 0;) {
    Slot& slot = slots_[at];
    if (slot.alarm && *slot.alarm <= now_ && !slot.ended) {
      slot.alarm.reset();
      call(at, [](Stage& stage, StageContext& context) { stage.on_alarm(context); });
    }
    if (slot.gate_at && *slot.gate_at <= now_) {
      slot.gate == Gate::waiting ? activate(at) : retire(at);
    }
  }
  settle();
}

void Chain::on_room(Moment moment) {
  begin(moment);
  for (std::size_t at = slots_.size(); at-- > 0;) {
    Slot& slot = slots_[at];
    if (slot.gate != Gate::active || slot.ended) continue;
    call(at, [](Stage& stage, StageContext& context) { stage.on_room(context); });
  }
  settle();
}

void Chain::on_session_end(Moment moment) {
  begin(moment);
  told_to_end_ = true;
  for (std::size_t at = slots_.size(); at-- > 0;) retire(at);
  input_ended_ = true;
  input_ended(0);
  settle();
}

auto Chain::take_released() -> Slice {
  Slice bytes = std::move(released_.front());
  released_.pop_front();
  if (released_.empty()) {
    if (held_ == 0) fill_.let_go();  // nothing may call again for as long as the session is idle
    count_queues();
  }
  return bytes;
}

void Chain::give_up_held() { held_ = 0; }

void Chain::cut() {
  released_.clear();
  alarm_.reset();
  held_ = 0;
  fill_.let_go();
  count_queues();
}

auto Chain::is_full() const -> bool {
  return limited() >= queue_limit_ || (held_ > 0 && budget_ != nullptr && budget_->is_full()) || !stages_take_more();
}

void Chain::count_full() {
  if (budget_ == nullptr || std::exchange(full_told_, true)) return;
  if (limited() >= queue_limit_) budget_->count_direction_full();
  if (held_ > 0 && budget_->is_full()) budget_->count_process_full();
}

auto Chain::stages_take_more() const -> bool {
  return std::ranges::all_of(slots_, [](const auto& slot) {
    if (slot.ended) return false;
    // What a stage will not take may never come, as it is for selected messages alone: one has to come first.
    return slot.gate != Gate::active || slot.stage->takes_more() || (slot.selection && slot.held == 0);
  });
}

// After every call.
void Chain::settle() {
  if (framings_ != nullptr && (*framings_ != nullptr || messages_ > 0)) forget_messages();
  CompactOptional<MonoTime> soonest;
  for (const auto& slot : slots_) {
    if (slot.ended) continue;
    for (const auto& when : {slot.alarm, slot.gate_at}) {
      if (when && (!soonest || *when < *soonest)) soonest = when;
    }
  }
  alarm_ = soonest;
  if (held_ == 0 && released_.empty()) fill_.let_go();
  count_queues();
}

}  // namespace weir::fault
