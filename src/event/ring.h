// The ring between one worker's loop and one observer: single producer, single consumer, no locks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "event/event.h"

namespace weir::event {

// What happens when an observer is slower than the traffic.
enum class FullPolicy : std::uint8_t {
  block,  // the direction is not read until there is room: nothing is lost, the traffic slows down
  drop,   // the event is not delivered and counted; the observer gets a Gap before its next event
};

// How an observer's thread sleeps and is woken, shared by the rings of all workers it reads.
// Any thread may wake; one thread waits.
class ConsumerSignal {
 public:
  ConsumerSignal();
  // Producer side, after publishing. An idle consumer is woken at once; one that is collecting (see
  // wait) only if `urgent`.
  void notify(bool urgent);
  // Wakes the consumer whatever it does.
  void wake();

  // Consumer side. `drained_something`: the last look at the rings found events. Then more are
  // likely to come soon, and the consumer sleeps collect_time whatever arrives, instead of being
  // woken for each: at 30,000 requests a second a wake-up per event costs more than printing them.
  // Otherwise it sleeps until notify. `still_empty` looks at the rings once more before sleeping.
  void wait(bool drained_something, const std::function<bool()>& still_empty);

  // Unseen by a person watching a terminal; far below what fills a ring.
  static constexpr auto collect_time = std::chrono::milliseconds{3};

 private:
  enum State : std::uint32_t { busy, collecting, idle };
  std::atomic<std::uint32_t> state_{busy};
  Fd eventfd_;
};

struct RingOptions {
  FullPolicy policy = FullPolicy::block;
  EventMask mask = 0;
  std::array<bool, 2> directions{true, true};   // of chunk events, by Direction
  std::size_t slots = 4096;                     // rounded up to a power of two
  std::size_t payload_limit = 8 * 1024 * 1024;  // bytes of chunks waiting, at most (one read more)
};

// Lifecycle events (all but chunks) never wait: beyond the slots they queue on the producer's side,
// and accepts_sessions() turns false when that queue is long, so that the worker stops accepting:
// with the few events each live session can still add, memory is bounded.
class EventRing {
 public:
  EventRing(const RingOptions& options, ConsumerSignal& signal);
  EventRing(const EventRing&) = delete;
  auto operator=(const EventRing&) -> EventRing& = delete;

  // --- the producer: the worker's loop ---
  [[nodiscard]] auto wants(EventKind kind) const -> bool { return contains(options_.mask, kind); }
  [[nodiscard]] auto wants_chunks(Direction direction) const -> bool {
    return wants(EventKind::chunk_read) && options_.directions[index(direction)];
  }
  // Is there room for the events of one read of at most `bytes`? Always true with policy drop. If
  // not, the producer is noted as parked, and `on_room` is called (on the consumer's thread) when
  // there is room again.
  [[nodiscard]] auto reserve(std::size_t bytes) -> bool;
  // Adds an event of a kind that wants() says yes to; seen by the consumer after publish().
  void push(Event event, EventKind kind);
  // At the end of the loop's turn: publishes what was pushed and wakes the consumer if it sleeps.
  void publish();
  [[nodiscard]] auto accepts_sessions() const -> bool { return overflow_.size() < overflow_limit; }
  // Nothing is left on this side: all was published.
  [[nodiscard]] auto producer_is_empty() const -> bool {
    return overflow_.empty() && !has_lost_ && tail_ == published_seen_;
  }
  // Before the loop starts: how the consumer tells the loop that there is room again (any thread).
  void set_on_room(std::function<void()> on_room) { on_room_ = std::move(on_room); }

  // --- the consumer: the observer's thread ---
  // Calls `consume` for what is there, at most all slots once; returns how many.
  auto drain(const std::function<void(Event&)>& consume) -> std::size_t;
  [[nodiscard]] auto empty() const -> bool;

  static constexpr std::size_t overflow_limit = 1024;

 private:
  [[nodiscard]] auto used() const -> std::size_t;
  [[nodiscard]] auto has_room(std::size_t bytes) -> bool;
  void store(Event event);
  void flush_overflow();
  void count_lost(const Event& event);
  void tell_lost();
  [[nodiscard]] auto take_gap() -> Event;

  RingOptions options_;
  ConsumerSignal& signal_;
  std::function<void()> on_room_;
  std::vector<Event> slots_;
  std::size_t mask_;

  // Producer's own.
  alignas(64) std::size_t tail_ = 0;
  std::size_t head_seen_ = 0;  // the last head_ it looked at
  std::size_t published_seen_ = 0;
  std::uint64_t bytes_in_ = 0;
  std::deque<Event> overflow_;
  struct LostAt {
    MonoTime time;
    ProxyId proxy{};
    SessionNumber session{};
  };
  LostAt lost_at_;  // where the first of the lost events would have been
  Gap lost_;
  bool has_lost_ = false;

  // Shared.
  alignas(64) std::atomic<std::size_t> published_{0};
  alignas(64) std::atomic<std::size_t> head_{0};
  std::atomic<std::uint64_t> bytes_out_{0};
  alignas(64) std::atomic<bool> parked_{false};
};

// The rings of one (worker, proxy), for all its observers: what a session writes to. Null when
// nobody observes. Loop thread only.
class Fanout {
 public:
  void add(EventRing& ring) { rings_.push_back(&ring); }
  [[nodiscard]] auto empty() const -> bool { return rings_.empty(); }
  [[nodiscard]] auto wants_chunks(Direction direction) const -> bool;
  [[nodiscard]] auto wants(EventKind kind) const -> bool;
  // Room in every ring for one read; see EventRing::reserve.
  [[nodiscard]] auto reserve(Direction direction, std::size_t bytes) -> bool;
  void push(const Event& event, EventKind kind);
  [[nodiscard]] auto accepts_sessions() const -> bool;

 private:
  std::vector<EventRing*> rings_;
};

}  // namespace weir::event
