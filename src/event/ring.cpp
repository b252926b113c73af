#include "event/ring.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/out_of_memory.h"

namespace weir::event {

EventRing::EventRing(const RingOptions& options, std::shared_ptr<ConsumerSignal> signal)
    : options_(options),
      signal_(std::move(signal)),
      slots_(std::bit_ceil(std::max<std::size_t>(options_.slots, 4))),
      mask_(slots_.size() - 1) {}

auto EventRing::used() const -> std::size_t { return tail_ - head_seen_; }

// The payload may exceed its limit by the one read being reserved.
auto EventRing::has_room(std::size_t events, std::size_t bytes) -> bool {
  if (!overflow_.empty()) return false;
  if (has_lost_) ++events;  // the gap comes first
  if (slots_.size() - used() < events) {
    head_seen_ = head_.load(std::memory_order_acquire);
    if (slots_.size() - used() < events) return false;
  }
  if (bytes == 0) return true;
  const std::uint64_t waiting = bytes_in_ - bytes_out_.load(std::memory_order_relaxed);
  return waiting == 0 || waiting + bytes <= options_.payload_limit;
}

auto EventRing::reserve(std::size_t events, std::size_t bytes) -> bool {
  if (options_.policy == FullPolicy::drop) return true;
  flush_overflow();
  if (has_room(events, bytes)) return true;
  publish();  // what the consumer is to make room by reading
  // As in notify(): either we see the room that drain() made, or it sees that we are parked. Who was parked before us
  // stays so: what we saw, it has not.
  const bool others_wait = parked_.exchange(true, std::memory_order_acq_rel);
  head_seen_ = head_.load(std::memory_order_acquire);
  flush_overflow();
  if (!has_room(events, bytes)) return false;
  if (!others_wait) parked_.exchange(false, std::memory_order_acq_rel);
  return true;
}

void EventRing::store(Event event) {
  if (const auto* chunk = std::get_if<ChunkRead>(&event.what)) bytes_in_ += chunk->bytes.size();
  slots_[tail_ & mask_] = std::move(event);
  ++tail_;
}

void EventRing::flush_overflow() {
  if (overflow_.empty()) return;
  head_seen_ = head_.load(std::memory_order_acquire);
  while (!overflow_.empty() && used() < slots_.size()) {
    store(std::move(overflow_.front()));
    overflow_.pop_front();
  }
}

void EventRing::count_lost(const Event& event) {
  if (!has_lost_) lost_at_ = LostAt{event.time, event.proxy, event.session};
  has_lost_ = true;
  if (const auto* chunk = std::get_if<ChunkRead>(&event.what)) {
    ++lost_.chunks;
    lost_.bytes += chunk->size();  // mutant: loss-not-counted
    dropped_chunks_.fetch_add(1, std::memory_order_relaxed);
    dropped_bytes_.fetch_add(chunk->size(), std::memory_order_relaxed);
  } else {
    ++lost_.events;
  }
}

void EventRing::push(Event event, EventKind kind) {
  const bool may_be_lost = is_evidence(kind) || (is_chunk(kind) && options_.policy == FullPolicy::drop);
  flush_overflow();
  if (may_be_lost) {
    const auto* read = std::get_if<ChunkRead>(&event.what);
    constexpr std::size_t with_its_write = 2;
    if (!has_room(with_its_write, read != nullptr ? read->bytes.size() : 0)) return count_lost(event);
  }
  tell_lost();
  if (overflow_.empty() && used() >= slots_.size()) head_seen_ = head_.load(std::memory_order_acquire);
  if (overflow_.empty() && !has_lost_ && used() < slots_.size()) return store(std::move(event));
  if (options_.policy == FullPolicy::drop && overflow_.size() >= overflow_limit) return count_lost(event);
  if (!queue(event)) count_lost(event);
}

// Behind what was lost before it. False: there is no memory for it, and nothing is changed.
auto EventRing::queue(Event& event) -> bool {
  const bool after_gap = has_lost_;
  if (after_gap && !contained([&] {
        overflow_.push_back(Event{lost_at_.time, lost_at_.proxy, lost_at_.session, lost_});
      }))
    return false;
  if (!contained([&] { overflow_.emplace_back(); })) {
    if (after_gap) overflow_.pop_back();
    return false;
  }
  overflow_.back() = std::move(event);  // mutant: lifecycle-events-dropped
  if (after_gap) (void)take_gap();
  return true;
}

void EventRing::lose(MonoTime time, ProxyId proxy, SessionNumber session) {
  flush_overflow();
  tell_lost();
  count_lost(Event{time, proxy, session, std::monostate{}});
}

auto EventRing::take_gap() -> Event {
  has_lost_ = false;
  return Event{lost_at_.time, lost_at_.proxy, lost_at_.session, std::exchange(lost_, Gap{})};
}

void EventRing::tell_lost() {
  if (!has_lost_ || !overflow_.empty()) return;
  head_seen_ = head_.load(std::memory_order_acquire);
  if (slots_.size() - used() < 2) return;  // one for the gap, one for the event after it
  store(take_gap());
}

void EventRing::publish() {
  while (true) {
    flush_overflow();
    tell_lost();
    if (tail_ != published_seen_) {
      published_seen_ = tail_;
      published_.store(tail_, std::memory_order_release);
      const bool urgent = used() > slots_.size() / 2 || !overflow_.empty() ||
                          bytes_in_ - bytes_out_.load(std::memory_order_relaxed) > options_.payload_limit / 2;
      signal_->notify(urgent);
    }
    if (overflow_.empty() && !has_lost_) return;
    // Something is left on this side: have the consumer call when it has made room for it.
    parked_.exchange(true, std::memory_order_acq_rel);
    if (head_.load(std::memory_order_acquire) == head_seen_) return;
  }
}

void EventRing::close() {
  closed_.store(true, std::memory_order_release);
  signal_->notify(true);
}

auto EventRing::drain(const std::function<void(Event&)>& consume) -> std::size_t {
  const std::size_t start = head_.load(std::memory_order_relaxed);
  const std::size_t end = published_.load(std::memory_order_acquire);
  std::uint64_t bytes = 0;
  for (std::size_t at = start; at != end; ++at) {
    Event& event = slots_[at & mask_];
    if (const auto* chunk = std::get_if<ChunkRead>(&event.what)) bytes += chunk->bytes.size();
    consume(event);
    event.what = std::monostate{};  // lets go of the payload
    // Give room back as we go, not only at the end: a slow observer must not hold a whole ring, be it full of small
    // events or of a few large ones.
    if ((at & 255) == 255 || at + 1 == end || bytes >= options_.payload_limit / 8) {
      bytes_out_.fetch_add(bytes, std::memory_order_relaxed);
      bytes = 0;
      head_.store(at + 1, std::memory_order_release);
      if (parked_.exchange(false, std::memory_order_acq_rel) && on_room_) {
        room_news_.store(true, std::memory_order_relaxed);  // the wake-up that follows carries it
        on_room_();
      }
    }
  }
  return end - start;
}

auto EventRing::empty() const -> bool {
  return head_.load(std::memory_order_relaxed) == published_.load(std::memory_order_acquire);
}

}  // namespace weir::event
