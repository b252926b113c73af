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
  std::uint64_t in = 0;   // offset of the next byte that comes in
  std::uint64_t out = 0;  // and of the next that goes out
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

// What a stage sees of the chain during one call.
class Chain::SlotContext final : public StageContext {
 public:
  SlotContext(Chain& chain, StageContext& outer, std::size_t at, std::uint64_t offset)
      : chain_(chain), outer_(outer), at_(at), offset_(offset) {}
  [[nodiscard]] auto now() const -> MonoTime override { return outer_.now(); }
  void emit(Slice bytes) override {
    if (bytes.empty()) return;
    slot().held -= std::min<std::uint64_t>(slot().held, bytes.size());
    slot().out += bytes.size();
    chain_.feed(outer_, at_ + 1, std::move(bytes));
  }
  void drop(std::size_t count) override {
    slot().held -= std::min<std::uint64_t>(slot().held, count);
    slot().fault->counters->bytes_dropped.fetch_add(count, std::memory_order_relaxed);
    outer_.drop(count);
  }
  void arm(MonoTime when) override { slot().alarm = when; }
  void disarm() override { slot().alarm.reset(); }
  void end(End how) override { chain_.ended(outer_, at_, how); }
  [[nodiscard]] auto offset() const -> std::uint64_t override { return offset_; }
  [[nodiscard]] auto sink_is_blocked() const -> bool override { return outer_.sink_is_blocked(); }

 private:
  [[nodiscard]] auto slot() -> Slot& { return chain_.slots_[at_]; }
  Chain& chain_;
  StageContext& outer_;
  std::size_t at_;
  std::uint64_t offset_;
};

Chain::Chain(Direction direction, BlockPool& blocks, MonoTime accepted, std::uint64_t offset)
    : blocks_(blocks), accepted_(accepted), offset_(offset), direction_(direction) {}

Chain::~Chain() = default;

void Chain::on_chunk(StageContext& outer, Slice bytes) {
  offset_ += bytes.size();
  feed(outer, 0, std::move(bytes));
  rearm(outer);
}

void Chain::on_end(StageContext& outer) {
  input_ended_ = true;
  input_ended(outer, 0);
  rearm(outer);
}

void Chain::feed(StageContext& outer, std::size_t at, Slice bytes) {
  if (at == slots_.size()) {
    if (!out_ended_) return outer.emit(std::move(bytes));
    return outer.drop(bytes.size());
  }
  Slot& slot = slots_[at];
  if (slot.ended || slot.input_ended) return outer.drop(bytes.size());
  if (slot.gate == Gate::waiting && slot.fault->state.begun) activate(outer, at);  // in the other direction
  if (slot.gate_at && *slot.gate_at <= outer.now()) {
    slot.gate == Gate::waiting ? activate(outer, at) : retire(outer, at);
    if (slot.ended) return outer.drop(bytes.size());
  }
  if (slot.gate == Gate::waiting) {
    if (const auto* begin = std::get_if<ByteOffset>(&slot.after);
        begin != nullptr && slot.in + bytes.size() > begin->bytes) {
      const auto before = static_cast<std::size_t>(begin->bytes - std::min(begin->bytes, slot.in));
      if (before > 0) {
        slot.in += before;
        slot.out += before;
        feed(outer, at + 1, bytes.prefix(before));
        bytes.remove_prefix(before);
      }
      activate(outer, at);
    }
  }
  if (slot.gate == Gate::active) return feed_active(outer, at, std::move(bytes));
  slot.in += bytes.size();
  slot.out += bytes.size();
  feed(outer, at + 1, std::move(bytes));
}

void Chain::feed_active(StageContext& outer, std::size_t at, Slice bytes) {
  Slot& slot = slots_[at];
  if (slot.ended) return outer.drop(bytes.size());
  SlotContext context(*this, outer, at, slot.in);
  slot.held += bytes.size();
  slot.in += bytes.size();
  slot.stage->on_chunk(context, std::move(bytes));
}

// No more comes into the slot.
void Chain::input_ended(StageContext& outer, std::size_t at) {
  if (at == slots_.size()) {
    if (!std::exchange(out_ended_, true)) outer.end(last_);
    return;
  }
  Slot& slot = slots_[at];
  if (std::exchange(slot.input_ended, true) || slot.ended) return;
  if (slot.gate == Gate::waiting && slot.fault->state.begun) activate(outer, at);
  if (slot.gate_at && *slot.gate_at <= outer.now()) {
    slot.gate == Gate::waiting ? activate(outer, at) : retire(outer, at);
  }
  if (slot.ended) return;
  if (slot.gate != Gate::active) return ended(outer, at, End::fin);
  SlotContext context(*this, outer, at, slot.in);
  slot.stage->on_end(context);
}

// A slot gives out no more: by its own wish, or as nothing comes in.
void Chain::ended(StageContext& outer, std::size_t at, End how) {
  Slot& slot = slots_[at];
  if (how != End::fin) slot.fault->ended_session = true;
  if (how == End::session_reset) {
    if (!std::exchange(reset_, true)) outer.end(how);
    out_ended_ = true;  // no FIN after it
    return;
  }
  if (how == End::session_fin) last_ = End::session_fin;
  if (std::exchange(slot.ended, true)) return;
  slot.alarm.reset();
  outer.drop(std::exchange(slot.held, 0));  // what it holds is given up
  input_ended(outer, at + 1);
}

auto Chain::starts_at(const Slot& slot) const -> CompactOptional<MonoTime> {
  if (const auto* age = std::get_if<Nanos>(&slot.after)) return std::max(slot.placed, accepted_ + *age);
  return {};
}

// The fault is in the slot: does it begin now?
void Chain::enter(StageContext& outer, std::size_t at) {
  Slot& slot = slots_[at];
  slot.gate = Gate::waiting;
  slot.after = slot.fault->spec->after;
  slot.duration = compact(slot.fault->spec->duration);
  slot.gate_at = starts_at(slot);
  const auto* begin = std::get_if<ByteOffset>(&slot.after);
  const bool there = begin != nullptr ? slot.in >= begin->bytes : *slot.gate_at <= outer.now();
  if (there || slot.fault->state.begun) activate(outer, at);
}

void Chain::activate(StageContext& outer, std::size_t at) {
  Slot& slot = slots_[at];
  SessionFault& fault = *slot.fault;
  if (!fault.state.begun) fault.state.begun = outer.now();
  slot.begun = *fault.state.begun;
  slot.gate = Gate::active;
  slot.gate_at = over_at(slot);
  if (slot.gate_at && *slot.gate_at <= outer.now()) {  // it has come and gone in the other direction
    slot.gate = Gate::over;
    slot.gate_at.reset();
    return;
  }
  if (!std::exchange(fault.counted, true)) {
    fault.counters->sessions.fetch_add(1, std::memory_order_relaxed);
    if (fault.on_began != nullptr) (*fault.on_began)(*fault.spec, outer.now());
  }
  const Seat seat{*fault.spec, direction_, fault.draws[index(direction_)], fault.state, fault.shared(), blocks_};
  slot.stage = fault.spec->type->make(seat);
  SlotContext context(*this, outer, at, slot.in);
  slot.stage->on_open(context);
}

// The fault is no more: what its stage holds goes on.
void Chain::retire(StageContext& outer, std::size_t at) {
  Slot& slot = slots_[at];
  slot.gate_at.reset();
  if (std::exchange(slot.gate, Gate::over) != Gate::active) return;
  SlotContext context(*this, outer, at, slot.in);
  if (!slot.ended) slot.stage->on_remove(context);
  slot.alarm.reset();
  if (slot.input_ended && !slot.ended) ended(outer, at, End::fin);
}

void Chain::update(StageContext& outer, std::size_t at) {
  Slot& slot = slots_[at];
  const FaultSpec& spec = *slot.fault->spec;
  const bool moved = slot.after != spec.after || slot.duration != compact(spec.duration);
  if (slot.gate == Gate::active) {
    slot.duration = compact(spec.duration);
    slot.after = spec.after;
    slot.gate_at = over_at(slot);
    if (slot.gate_at && *slot.gate_at <= outer.now()) return retire(outer, at);
    if (slot.ended) return;
    SlotContext context(*this, outer, at, slot.in);
    slot.stage->on_update(context, spec);
  } else if (moved && !slot.ended) {
    slot.placed = outer.now();
    slot.fault->state.begun.reset();
    enter(outer, at);
  }
}

void Chain::set(StageContext& outer, std::span<SessionFault* const> faults, std::span<SessionFault* const> changed) {
  const auto place = [&](const auto& slot) { return std::ranges::find(faults, slot.fault) - faults.begin(); };
  std::vector<std::ptrdiff_t> staying;
  for (const auto& slot : slots_) {
    if (place(slot) != std::ssize(faults)) staying.push_back(place(slot));
  }
  // What waits in a later slot came before what waits in an earlier one: in another order of the slots
  // the bytes would come in another order too.
  const bool reordered = !std::ranges::is_sorted(staying);
  for (std::size_t at = slots_.size(); at-- > 0;) {
    if (reordered || place(slots_[at]) == std::ssize(faults)) retire(outer, at);
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
      slot.placed = outer.now();
      slot.input_ended = slot.ended = no_more || out_ended_;
      slots_.push_back(std::move(slot));
    }
    offset = slots_.back().out;
    no_more = slots_.back().ended;
  }
  for (std::size_t at = slots_.size(); at-- > 0;) {
    if (is_new[at]) {
      if (!slots_[at].ended) enter(outer, at);
    } else if (std::ranges::find(changed, slots_[at].fault) != changed.end()) {
      update(outer, at);
    }
  }
  rearm(outer);
}

void Chain::on_alarm(StageContext& outer) {
  // The last first: what it lets go came before what the others do.
  for (std::size_t at = slots_.size(); at-- > 0;) {
    Slot& slot = slots_[at];
    if (slot.alarm && *slot.alarm <= outer.now() && !slot.ended) {
      slot.alarm.reset();
      SlotContext context(*this, outer, at, slot.in);
      slot.stage->on_alarm(context);
    }
    if (slot.gate_at && *slot.gate_at <= outer.now()) {
      slot.gate == Gate::waiting ? activate(outer, at) : retire(outer, at);
    }
  }
  rearm(outer);
}

void Chain::on_room(StageContext& outer) {
  for (std::size_t at = slots_.size(); at-- > 0;) {
    Slot& slot = slots_[at];
    if (slot.gate != Gate::active || slot.ended) continue;
    SlotContext context(*this, outer, at, slot.in);
    slot.stage->on_room(context);
  }
  rearm(outer);
}

void Chain::on_session_end(StageContext& outer) {
  for (std::size_t at = slots_.size(); at-- > 0;) retire(outer, at);
  input_ended_ = true;
  input_ended(outer, 0);
  rearm(outer);
}

auto Chain::takes_more() const -> bool {
  return std::ranges::all_of(
      slots_, [](const auto& slot) { return !slot.ended && (slot.gate != Gate::active || slot.stage->takes_more()); });
}

void Chain::rearm(StageContext& outer) {
  CompactOptional<MonoTime> soonest;
  for (const auto& slot : slots_) {
    if (slot.ended) continue;
    for (const auto& when : {slot.alarm, slot.gate_at}) {
      if (when && (!soonest || *when < *soonest)) soonest = when;
    }
  }
  soonest ? outer.arm(*soonest) : outer.disarm();
}

}  // namespace weir::fault
