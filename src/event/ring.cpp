#include "event/ring.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

namespace weir::event {

ConsumerSignal::ConsumerSignal() : eventfd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void ConsumerSignal::wake() {
  const std::uint64_t one = 1;
  // The only possible failure, EAGAIN, means the counter is full: the consumer is awake already.
  [[maybe_unused]] const auto written = ::write(eventfd_.get(), &one, sizeof one);
}

void ConsumerSignal::notify(bool urgent) {
  // Every access to state_ reads and writes, so each sees the one before it and what that one saw:
  // either the consumer sees what was published, or we see its state. (Fences would do as well, but
  // ThreadSanitizer does not know them.)
  std::uint32_t state = state_.fetch_or(0, std::memory_order_acq_rel);
  if (state == busy || (state == collecting && !urgent)) return;
  if (state_.compare_exchange_strong(state, busy, std::memory_order_acq_rel)) wake();
}

void ConsumerSignal::wait(bool drained_something, const std::function<bool()>& still_empty) {
  state_.exchange(drained_something ? collecting : idle, std::memory_order_acq_rel);
  if (drained_something || still_empty()) {
    pollfd waiting{.fd = eventfd_.get(), .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, drained_something ? static_cast<int>(collect_time.count()) : -1);
  }
  state_.exchange(busy, std::memory_order_acq_rel);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(eventfd_.get(), &count, sizeof count);
}

EventRing::EventRing(const RingOptions& options, ConsumerSignal& signal)
    : options_(options),
      signal_(signal),
      slots_(std::bit_ceil(std::max<std::size_t>(options.slots, 4))),
      mask_(slots_.size() - 1) {}

auto EventRing::used() const -> std::size_t { return tail_ - head_seen_; }

// Two slots: a read and its write. The payload may exceed its limit by the one read being reserved.
auto EventRing::has_room(std::size_t bytes) -> bool {
  if (!overflow_.empty()) return false;
  constexpr std::size_t slots_per_read = 2;
  if (slots_.size() - used() < slots_per_read) {
    head_seen_ = head_.load(std::memory_order_acquire);
    if (slots_.size() - used() < slots_per_read) return false;
  }
  const std::uint64_t waiting = bytes_in_ - bytes_out_.load(std::memory_order_relaxed);
  return waiting == 0 || waiting + bytes <= options_.payload_limit;
}

auto EventRing::reserve(std::size_t bytes) -> bool {
  if (options_.policy == FullPolicy::drop) return true;
  flush_overflow();
  if (has_room(bytes)) return true;
  publish();  // what the consumer is to make room by reading
  // As in notify(): either we see the room that drain() made, or it sees that we are parked.
  parked_.exchange(true, std::memory_order_acq_rel);
  head_seen_ = head_.load(std::memory_order_acquire);
  flush_overflow();
  if (!has_room(bytes)) return false;
  parked_.exchange(false, std::memory_order_acq_rel);
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
    lost_.bytes += chunk->bytes.size();
  } else {
    ++lost_.events;
  }
}

void EventRing::push(Event event, EventKind kind) {
  const bool chunk = kind == EventKind::chunk_read || kind == EventKind::chunk_written;
  flush_overflow();
  if (chunk && options_.policy == FullPolicy::drop) {
    const auto* read = std::get_if<ChunkRead>(&event.what);
    if (!has_room(read != nullptr ? read->bytes.size() : 0)) return count_lost(event);
  }
  tell_lost();
  if (overflow_.empty() && used() >= slots_.size()) head_seen_ = head_.load(std::memory_order_acquire);
  if (overflow_.empty() && !has_lost_ && used() < slots_.size()) return store(std::move(event));
  if (options_.policy == FullPolicy::drop && overflow_.size() >= overflow_limit) return count_lost(event);
  if (has_lost_) overflow_.push_back(take_gap());  // what was lost before it is told before it
  overflow_.push_back(std::move(event));
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
      signal_.notify(urgent);
    }
    if (overflow_.empty() && !has_lost_) return;
    // Something is left on this side: have the consumer call when it has made room for it.
    parked_.exchange(true, std::memory_order_acq_rel);
    if (head_.load(std::memory_order_acquire) == head_seen_) return;
  }
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
    // Give room back as we go, not only at the end: a slow observer must not hold a whole ring.
    if ((at & 255) == 255 || at + 1 == end) {
      bytes_out_.fetch_add(bytes, std::memory_order_relaxed);
      bytes = 0;
      head_.store(at + 1, std::memory_order_release);
      if (parked_.exchange(false, std::memory_order_acq_rel) && on_room_) on_room_();
    }
  }
  return end - start;
}

auto EventRing::empty() const -> bool {
  return head_.load(std::memory_order_relaxed) == published_.load(std::memory_order_acquire);
}

auto Fanout::wants_chunks(Direction direction) const -> bool {
  return std::any_of(rings_.begin(), rings_.end(),
                     [direction](const EventRing* ring) { return ring->wants_chunks(direction); });
}

auto Fanout::wants(EventKind kind) const -> bool {
  return std::any_of(rings_.begin(), rings_.end(), [kind](const EventRing* ring) { return ring->wants(kind); });
}

auto Fanout::reserve(Direction direction, std::size_t bytes) -> bool {
  return std::all_of(rings_.begin(), rings_.end(),
                     [=](EventRing* ring) { return !ring->wants_chunks(direction) || ring->reserve(bytes); });
}

namespace {

auto direction_of(const Event& event) -> std::optional<Direction> {
  if (const auto* read = std::get_if<ChunkRead>(&event.what)) return read->direction;
  if (const auto* written = std::get_if<ChunkWritten>(&event.what)) return written->direction;
  return std::nullopt;
}

}  // namespace

void Fanout::push(const Event& event, EventKind kind) {
  const auto direction = direction_of(event);
  for (EventRing* ring : rings_) {
    if (ring->wants(kind) && (!direction || ring->wants_chunks(*direction))) ring->push(event, kind);
  }
}

auto Fanout::accepts_sessions() const -> bool {
  return std::all_of(rings_.begin(), rings_.end(), [](const EventRing* ring) { return ring->accepts_sessions(); });
}

}  // namespace weir::event
