// Which faults stand in a chain, and when each begins and ends: see chain.h.
#include <algorithm>
#include <utility>

#include "fault/catalog.h"
#include "fault/chain_slot.h"

namespace weir::fault {
namespace {

// When an active fault is over, if ever.
auto over_at(const auto& slot) -> CompactOptional<MonoTime> {
  if (!slot.spec->duration) return {};
  return slot.begun + *slot.spec->duration;
}

}  // namespace

auto Chain::selection_for(const SessionFault& fault) -> std::unique_ptr<Selection> {
  const Selector& selector = fault.spec->selector;
  if (selector.on == nullptr || framings_ == nullptr) return nullptr;
  const auto found = std::ranges::find(**framings_, selector.on, [](const auto& each) { return &each->info(); });
  return std::make_unique<Selection>(selector, (*found)->messages(direction_));
}

auto Chain::starts_at(const Slot& slot) const -> CompactOptional<MonoTime> {
  if (const auto* age = std::get_if<Nanos>(&slot.spec->after)) return std::max(slot.placed, accepted_ + *age);
  return {};
}

// The fault is in the slot: does it begin now?
void Chain::enter(std::size_t at) {
  Slot& slot = slots_[at];
  slot.gate = Gate::waiting;
  slot.spec = slot.fault->spec;
  slot.gate_at = starts_at(slot);
  const auto* begin = std::get_if<ByteOffset>(&slot.spec->after);
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
    if (fault.on_began != nullptr) (*fault.on_began)(*fault.spec);
  }
  const Seat seat{*fault.spec, direction_, fault.draws[index(direction_)], fault.state, fault.shared(),
                  blocks_,     charged()};
  slot.stage = fault.spec->type->make(seat);
  if (slot.selection) slot.selection->count_from(slot.in);
  call(at, [](Stage& stage, StageContext& context) { stage.on_open(context); });
}

// The fault is no more: what its stage holds goes on.
void Chain::retire(std::size_t at) {
  Slot& slot = slots_[at];
  slot.gate_at.reset();
  if (std::exchange(slot.gate, Gate::over) != Gate::active) return;
  if (!slot.ended) {
    call(at, [](Stage& stage, StageContext& context) { stage.on_remove(context); });
    while (slot.selection && slot.selection->has_waiting()) leave_slot(at, slot.selection->take_front());
    release_joined(at);
  }
  slot.alarm.reset();
  if (slot.input_ended && !slot.ended) ended(at, End::fin);
}

void Chain::update(std::size_t at) {
  Slot& slot = slots_[at];
  const FaultSpec& spec = *slot.fault->spec;
  if (slot.selection) slot.selection->change(spec.selector);
  const bool moved = slot.spec->after != spec.after || slot.spec->duration != spec.duration;
  if (slot.gate == Gate::active) {
    slot.spec = slot.fault->spec;
    slot.gate_at = over_at(slot);
    if (slot.gate_at && *slot.gate_at <= now_) return retire(at);
    if (slot.ended) return;
    call(at, [&](Stage& stage, StageContext& context) { stage.on_update(context, spec); });
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
  const bool reordered = !std::ranges::is_sorted(staying);  // mutant: changed-places-reorder-bytes
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
      slot.spec = fault->spec;
      slot.selection = selection_for(*fault);
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
  settle();
}

}  // namespace weir::fault
