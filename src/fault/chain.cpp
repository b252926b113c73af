#include "fault/chain.h"

#include <algorithm>
#include <utility>

#include "fault/catalog.h"

namespace weir::fault {

enum class Gate : std::uint8_t { waiting, active, over };

struct Chain::Slot {
  SessionFault* fault = nullptr;
  std::unique_ptr<Stage> stage;
  After after;                        // as the gate was entered with
  CompactOptional<Nanos> duration;    // likewise
  CompactOptional<MonoTime> alarm;    // the stage's
  CompactOptional<MonoTime> gate_at;  // when it begins, or is over
  MonoTime begun{};
  MonoTime placed{};      // when the fault came into the session
  std::uint64_t in = 0;   // where in the stream the last that came in ended
  std::uint64_t out = 0;  // and the last that went out
  std::uint64_t held = 0;
  Gate gate = Gate::waiting;
  bool input_ended = false;
  bool ended = false;  // nothing will come out any more
};

namespace {

auto compact(const std::optional<Nanos>& duration) -> CompactOptional<Nanos> {
  return duration ? CompactOptional<Nanos>(*duration) : CompactOptional<Nanos>();
}

// When an active fault is over, if ever.
auto over_at(const auto& slot) -> CompactOptional<MonoTime> {
  if (!slot.duration) return {};
  return slot.begun + *slot.duration;
}

}  // namespace

auto StageContext::now() const -> MonoTime { return chain_.now_; }
void StageContext::emit(Chunk chunk) { chain_.emit(place_, std::move(chunk)); }
void StageContext::drop(std::size_t count) { chain_.drop(place_, count); }
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
      queue_limit_(place.queue_limit),
      offset_(place.offset),
      accepted_(place.accepted),
      direction_(place.direction) {}

Chain::~Chain() { let_go(held_); }

void Chain::on_chunk(Moment moment, Slice bytes) {
  begin(moment);
  held_ += bytes.size();
  if (budget_ != nullptr) budget_->take(bytes.size());
  full_told_ = false;
  const std::uint64_t offset = std::exchange(offset_, offset_ + bytes.size());
  feed(0, {.bytes = std::move(bytes), .offset = offset});
  rearm();
}

void Chain::on_end(Moment moment) {
  begin(moment);
  input_ended_ = true;
  input_ended(0);
  rearm();
}

void Chain::let_go(std::uint64_t bytes) {
  bytes = std::min(held_, bytes);
  held_ -= bytes;
  if (budget_ != nullptr) budget_->give(bytes);
}

void Chain::emit(std::size_t at, Chunk chunk) {
  if (chunk.empty()) return;
  Slot& slot = slots_[at];
  slot.held -= std::min<std::uint64_t>(slot.held, chunk.size());
  slot.out = chunk.end();
  feed(at + 1, std::move(chunk));
}

void Chain::drop(std::size_t at, std::size_t count) {
  Slot& slot = slots_[at];
  slot.held -= std::min<std::uint64_t>(slot.held, count);
  slot.fault->counters->bytes_dropped.fetch_add(count, std::memory_order_relaxed);
  let_go(count);
}

void Chain::feed(std::size_t at, Chunk chunk) {
  if (at == slots_.size()) {
    let_go(chunk.size());
    if (!out_ended_) released_.push_back(std::move(chunk.bytes));
    return;
  }
  Slot& slot = slots_[at];
  if (slot.ended || slot.input_ended) return let_go(chunk.size());
  if (slot.gate == Gate::waiting && slot.fault->state.begun) activate(at);  // in the other direction
  if (slot.gate_at && *slot.gate_at <= now_) {
    slot.gate == Gate::waiting ? activate(at) : retire(at);
    if (slot.ended) return let_go(chunk.size());
  }
  if (slot.gate == Gate::waiting) {
    const auto* begin = std::get_if<ByteOffset>(&slot.after);
    if (begin != nullptr && chunk.end() > begin->bytes) {
      const auto before = static_cast<std::size_t>(begin->bytes - std::min(begin->bytes, chunk.offset));
      if (before > 0) {
        slot.in = slot.out = begin->bytes;
        feed(at + 1, chunk.take(before));
      }
      activate(at);
    }
  }
  if (slot.gate == Gate::active) return feed_active(at, std::move(chunk));
  slot.in = slot.out = chunk.end();
  feed(at + 1, std::move(chunk));
}

void Chain::feed_active(std::size_t at, Chunk chunk) {
  Slot& slot = slots_[at];
  if (slot.ended) return let_go(chunk.size());
  StageContext context(*this, at);
  slot.held += chunk.size();
  slot.in = chunk.end();
  slot.stage->on_chunk(context, std::move(chunk));
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
  StageContext context(*this, at);
  slot.stage->on_end(context);
}

// A slot gives out no more: by its own wish, or as nothing comes in.
void Chain::ended(std::size_t at, End how) {
  Slot& slot = slots_[at];
  if (how != End::fin) slot.fault->ended_session = true;
  if (how == End::session_reset) {
    if (!std::exchange(reset_, true)) end_ = how;
    out_ended_ = true;  // no FIN after it
    return;
  }
  if (how == End::session_fin) last_ = End::session_fin;
  if (std::exchange(slot.ended, true)) return;
  slot.alarm.reset();
  let_go(std::exchange(slot.held, 0));  // what it holds is given up
  input_ended(at + 1);
}

auto Chain::starts_at(const Slot& slot) const -> CompactOptional<MonoTime> {
  if (const auto* age = std::get_if<Nanos>(&slot.after)) return std::max(slot.placed, accepted_ + *age);
  return {};
}

// The fault is in the slot: does it begin now?
void Chain::enter(std::size_t at) {
  Slot& slot = slots_[at];
  slot.gate = Gate::waiting;
  slot.after = slot.fault->spec->after;
  slot.duration = compact(slot.fault->spec->duration);
  slot.gate_at = starts_at(slot);
  const auto* begin = std::get_if<ByteOffset>(&slot.after);
  const bool there = begin != nullptr ? slot.in >= begin->bytes : *slot.gate_at <= now_;
  if (there || slot.fault->state.begun) activate(at);
}

void Chain::activate(std::size_t at) {
  Slot& slot = slots_[at];
  SessionFault& fault = *slot.fault;
  if (!fault.state.begun) fault.state.begun = now_;
  slot.begun = *fault.state.begun;
  slot.gate = Gate::active;
  slot.gate_at = over_at(slot);
  if (slot.gate_at && *slot.gate_at <= now_) {  // it has come and gone in the other direction
    slot.gate = Gate::over;
    slot.gate_at.reset();
    return;
  }
  if (!std::exchange(fault.counted, true)) {
    fault.counters->sessions.fetch_add(1, std::memory_order_relaxed);
    if (fault.on_began != nullptr) (*fault.on_began)(*fault.spec, now_);
  }
  const Seat seat{*fault.spec, direction_, fault.draws[index(direction_)], fault.state, fault.shared(), blocks_};
  slot.stage = fault.spec->type->make(seat);
  StageContext context(*this, at);
  slot.stage->on_open(context);
}

// The fault is no more: what its stage holds goes on.
void Chain::retire(std::size_t at) {
  Slot& slot = slots_[at];
  slot.gate_at.reset();
  if (std::exchange(slot.gate, Gate::over) != Gate::active) return;
  StageContext context(*this, at);
  if (!slot.ended) slot.stage->on_remove(context);
  slot.alarm.reset();
  if (slot.input_ended && !slot.ended) ended(at, End::fin);
}

void Chain::update(std::size_t at) {
  Slot& slot = slots_[at];
  const FaultSpec& spec = *slot.fault->spec;
  const bool moved = slot.after != spec.after || slot.duration != compact(spec.duration);
  if (slot.gate == Gate::active) {
    slot.duration = compact(spec.duration);
    slot.after = spec.after;
    slot.gate_at = over_at(slot);
    if (slot.gate_at && *slot.gate_at <= now_) return retire(at);
    if (slot.ended) return;
    StageContext context(*this, at);
    slot.stage->on_update(context, spec);
  } else if (moved && !slot.ended) {
    slot.placed = now_;
    slot.fault->state.begun.reset();
    enter(at);
  }
}

void Chain::set(Moment moment, std::span<SessionFault* const> faults, std::span<SessionFault* const> changed) {
  begin(moment);
  const auto place = [&](const auto& slot) { return std::ranges::find(faults, slot.fault) - faults.begin(); };
  std::vector<std::ptrdiff_t> staying;
  for (const auto& slot : slots_) {
    if (place(slot) != std::ssize(faults)) staying.push_back(place(slot));
  }
  // What waits in a later slot came before what waits in an earlier one: in another order of the slots
  // the bytes would come in another order too.
  const bool reordered = !std::ranges::is_sorted(staying);
  for (std::size_t at = slots_.size(); at-- > 0;) {
    if (reordered || place(slots_[at]) == std::ssize(faults)) retire(at);
  }
  std::vector<Slot> before = std::exchange(slots_, {});
  slots_.reserve(faults.size());
  std::uint64_t offset = offset_;
  bool no_more = input_ended_;
  std::vector<bool> is_new;
  for (SessionFault* fault : faults) {
    const auto old = std::ranges::find_if(before, [&](const Slot& slot) { return slot.fault == fault; });
    is_new.push_back(old == before.end() || reordered);
    if (!is_new.back()) {
      slots_.push_back(std::move(*old));
    } else {
      Slot slot;
      slot.fault = fault;
      slot.in = slot.out = offset;
      slot.placed = now_;
      slot.input_ended = slot.ended = no_more || out_ended_;
      slots_.push_back(std::move(slot));
    }
    offset = slots_.back().held == 0 ? slots_.back().in : slots_.back().out;
    no_more = slots_.back().ended;
  }
  for (std::size_t at = slots_.size(); at-- > 0;) {
    if (is_new[at]) {
      if (!slots_[at].ended) enter(at);
    } else if (std::ranges::find(changed, slots_[at].fault) != changed.end()) {
      update(at);
    }
  }
  rearm();
}

void Chain::on_alarm(Moment moment) {
  begin(moment);
  // The last first: what it lets go came before what the others do.
  for (std::size_t at = slots_.size(); at-- > 0;) {
    Slot& slot = slots_[at];
    if (slot.alarm && *slot.alarm <= now_ && !slot.ended) {
      slot.alarm.reset();
      StageContext context(*this, at);
      slot.stage->on_alarm(context);
    }
    if (slot.gate_at && *slot.gate_at <= now_) {
      slot.gate == Gate::waiting ? activate(at) : retire(at);
    }
  }
  rearm();
}

void Chain::on_room(Moment moment) {
  begin(moment);
  for (std::size_t at = slots_.size(); at-- > 0;) {
    Slot& slot = slots_[at];
    if (slot.gate != Gate::active || slot.ended) continue;
    StageContext context(*this, at);
    slot.stage->on_room(context);
  }
  rearm();
}

void Chain::on_session_end(Moment moment) {
  begin(moment);
  for (std::size_t at = slots_.size(); at-- > 0;) retire(at);
  input_ended_ = true;
  input_ended(0);
  rearm();
}

auto Chain::take_released() -> Slice {
  Slice bytes = std::move(released_.front());
  released_.pop_front();
  return bytes;
}

void Chain::give_up_held() { let_go(held_); }

void Chain::cut() {
  released_.clear();
  alarm_.reset();
  let_go(held_);
}

auto Chain::is_full() const -> bool {
  return held_ >= queue_limit_ || (held_ > 0 && budget_ != nullptr && budget_->is_full()) || !stages_take_more();
}

void Chain::count_full() {
  if (budget_ == nullptr || std::exchange(full_told_, true)) return;
  if (held_ >= queue_limit_) budget_->count_direction_full();
  if (held_ > 0 && budget_->is_full()) budget_->count_process_full();
}

auto Chain::stages_take_more() const -> bool {
  return std::ranges::all_of(
      slots_, [](const auto& slot) { return !slot.ended && (slot.gate != Gate::active || slot.stage->takes_more()); });
}

void Chain::rearm() {
  CompactOptional<MonoTime> soonest;
  for (const auto& slot : slots_) {
    if (slot.ended) continue;
    for (const auto& when : {slot.alarm, slot.gate_at}) {
      if (when && (!soonest || *when < *soonest)) soonest = when;
    }
  }
  alarm_ = soonest;
}

}  // namespace weir::fault
