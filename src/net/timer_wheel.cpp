#include "net/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "base/out_of_memory.h"

namespace weir::net {

Timer::~Timer() {
  if (wheel_ != nullptr) wheel_->disarm(*this);
}

TimerWheel::~TimerWheel() {
  for (Level& level : level_) {
    for (Timer* head : level.heads) {
      while (head != nullptr) {
        Timer* timer = head;
        head = timer->next_;
        timer->wheel_ = nullptr;
      }
    }
  }
}

void TimerWheel::arm(Timer& timer, MonoTime deadline) {
  disarm(timer);
  const Nanos after = std::max(deadline - start_, Nanos{0});
  // Round up: never early.
  // mutant: timer-early
  const auto tick = static_cast<std::uint64_t>(after / tick_length + (after % tick_length == Nanos{0} ? 0 : 1));
  timer.tick_ = std::max(tick, now_tick_ + 1);
  insert(timer);
}

void TimerWheel::insert(Timer& timer) {
  std::uint64_t tick = timer.tick_;
  constexpr std::uint64_t reach = (std::uint64_t{1} << (bits * levels)) - 1;
  tick = std::min(tick, now_tick_ + reach - (std::uint64_t{1} << (bits * (levels - 1))));
  unsigned level = 0;
  while (level + 1 < levels && tick - now_tick_ >= (std::uint64_t{1} << (bits * (level + 1)))) ++level;
  const auto slot = (tick >> (bits * level)) & (slots - 1);
  Timer*& head = level_[level].heads[slot];
  timer.level_ = static_cast<std::uint8_t>(level);
  timer.slot_ = static_cast<std::uint8_t>(slot);
  timer.wheel_ = this;
  timer.next_ = head;
  timer.link_ = &head;
  if (head != nullptr) head->link_ = &timer.next_;
  head = &timer;
  level_[level].occupied |= std::uint64_t{1} << slot;
}

void TimerWheel::disarm(Timer& timer) {
  if (timer.wheel_ == nullptr) return;
  *timer.link_ = timer.next_;
  if (timer.next_ != nullptr) timer.next_->link_ = timer.link_;
  Level& level = level_[timer.level_];
  if (level.heads[timer.slot_] == nullptr) level.occupied &= ~(std::uint64_t{1} << timer.slot_);
  timer.wheel_ = nullptr;
}

auto TimerWheel::next_tick() const -> std::optional<std::uint64_t> {
  std::optional<std::uint64_t> best;
  for (unsigned level = 0; level < levels; ++level) {
    const std::uint64_t occupied = level_[level].occupied;
    if (occupied == 0) continue;
    const std::uint64_t here = now_tick_ >> (bits * level);
    // Distance to the next occupied slot, 1..64: the slot we stand in comes round a full turn later.
    const int turn = static_cast<int>((here + 1) & (slots - 1));
    const std::uint64_t distance = static_cast<std::uint64_t>(std::countr_zero(std::rotr(occupied, turn))) + 1;
    const std::uint64_t tick = (here + distance) << (bits * level);
    if (!best || tick < *best) best = tick;
  }
  return best;
}

auto TimerWheel::next() const -> std::optional<MonoTime> {
  const auto tick = next_tick();
  if (!tick) return std::nullopt;
  return start_ + static_cast<std::int64_t>(*tick) * tick_length;
}

void TimerWheel::advance(MonoTime now) {
  if (now < start_) return;
  const auto target = static_cast<std::uint64_t>((now - start_) / tick_length);
  while (now_tick_ < target) {
    const auto tick = next_tick();
    if (!tick || *tick > target) {
      now_tick_ = target;
      return;
    }
    now_tick_ = *tick;
    // Top down: what an upper slot spreads may land in the lower slot we now stand in.
    for (unsigned level = levels - 1; level > 0; --level) {
      if ((now_tick_ & ((std::uint64_t{1} << (bits * level)) - 1)) == 0) cascade(level);
    }
    fire_slot();
  }
}

void TimerWheel::cascade(unsigned level) {
  const auto slot = (now_tick_ >> (bits * level)) & (slots - 1);
  Timer* timer = level_[level].heads[slot];
  level_[level].heads[slot] = nullptr;
  level_[level].occupied &= ~(std::uint64_t{1} << slot);
  while (timer != nullptr) {
    Timer* next = timer->next_;  // mutant: timer-forgotten-in-cascade
    insert(*timer);
    timer = next;
  }
}

void TimerWheel::fire_slot() {
  const auto slot = now_tick_ & (slots - 1);
  // One at a time from the head: a callback may disarm or destroy the others. What a callback arms
  // is at least one tick away, so this ends.
  while (Timer* timer = level_[0].heads[slot]) {
    disarm(*timer);
    (void)contained([timer] { timer->on_timer(); });  // the others' time has come too
  }
}

}  // namespace weir::net
