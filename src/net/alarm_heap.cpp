#include "net/alarm_heap.h"

#include <utility>

#include "base/out_of_memory.h"

namespace weir::net {

Alarm::~Alarm() {
  if (heap_ != nullptr) heap_->clear(*this);
}

AlarmHeap::~AlarmHeap() {
  for (Alarm* alarm : heap_) alarm->heap_ = nullptr;
  for (Alarm* alarm : ringing_) {
    if (alarm != nullptr) alarm->heap_ = nullptr;
  }
}

void AlarmHeap::place(std::size_t at, Alarm* alarm) {
  heap_[at] = alarm;
  alarm->at_ = static_cast<std::uint32_t>(at);
}

void AlarmHeap::sift_up(std::size_t at) {
  Alarm* alarm = heap_[at];
  while (at > 0 && heap_[(at - 1) / 2]->when_ > alarm->when_) {
    place(at, heap_[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  place(at, alarm);
}

void AlarmHeap::sift_down(std::size_t at) {
  Alarm* alarm = heap_[at];
  while (true) {
    std::size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->when_ < heap_[child]->when_) ++child;
    if (heap_[child]->when_ >= alarm->when_) break;
    place(at, heap_[child]);
    at = child;
  }
  place(at, alarm);
}

void AlarmHeap::set(Alarm& alarm, MonoTime when) {
  clear(alarm);
  heap_.push_back(&alarm);
  // Here, where a want of memory is one alarm's: advance() then needs none.
  if (ringing_.capacity() < heap_.capacity()) {
    try {
      ringing_.reserve(heap_.capacity());
    } catch (...) {
      heap_.pop_back();
      throw;
    }
  }
  alarm.when_ = when;
  alarm.heap_ = this;
  sift_up(heap_.size() - 1);
}

void AlarmHeap::clear(Alarm& alarm) {
  if (alarm.heap_ == nullptr) return;
  alarm.heap_ = nullptr;
  const std::size_t at = alarm.at_;
  if (std::exchange(alarm.ringing_, false)) {
    ringing_[at] = nullptr;
    return;
  }
  Alarm* last = heap_.back();
  heap_.pop_back();
  if (last == &alarm) return;
  place(at, last);
  sift_up(at);
  sift_down(last->at_);
}

void AlarmHeap::advance(MonoTime now) {
  while (!heap_.empty() && heap_.front()->when_ <= now) {
    Alarm* alarm = heap_.front();
    clear(*alarm);
    alarm->heap_ = this;
    alarm->ringing_ = true;
    alarm->at_ = static_cast<std::uint32_t>(ringing_.size());
    ringing_.push_back(alarm);
  }
  for (std::size_t i = 0; i < ringing_.size(); ++i) {
    Alarm* alarm = ringing_[i];
    if (alarm == nullptr) continue;  // an earlier one's callback cleared it
    clear(*alarm);
    (void)contained([alarm] { alarm->on_alarm(); });  // the others' time has come too
  }
  ringing_.clear();
}

auto AlarmHeap::next() const -> std::optional<MonoTime> {
  if (heap_.empty()) return std::nullopt;
  return heap_.front()->when_;
}

}  // namespace weir::net
