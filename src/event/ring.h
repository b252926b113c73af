// The ring between one worker's loop and one observer: single producer, single consumer, no locks.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/client_filter.h"
#include "event/consumer_signal.h"
#include "event/event.h"
#include "event/held_up.h"

namespace weir::event {

// What happens when an observer is slower than the traffic.
enum class FullPolicy : std::uint8_t {
  block,  // the direction is not read until there is room: nothing is lost, the traffic slows down
  drop,   // the event is not delivered and counted; the observer gets a Gap before its next event
};

// The sessions that an observer is told of; the events of others are not made for it.
struct SessionFilter {
  std::optional<ClientFilter> client{};
  std::optional<SessionNumber> session{};  // of every proxy that is observed, the session of this number
  [[nodiscard]] auto matches(SessionNumber number, const Address& from) const -> bool {
    return (!session || *session == number) && (!client || client->matches(from));
  }
};

struct RingOptions {
  FullPolicy policy = FullPolicy::block;
  EventMask mask = 0;
  std::array<bool, 2> directions{true, true};  // of events that have one (chunks, what was sent), by Direction
  SessionFilter filter{};
  std::size_t slots = 4096;                     // rounded up to a power of two
  std::size_t payload_limit = 8 * 1024 * 1024;  // bytes of chunks waiting, at most (one read more)
};

// Where memory has run out, what would have to queue is dropped and counted, whatever it is.
//
// Chunks and their writes wait or are dropped, as the policy says. Evidence (what was sent and acknowledged, the
// kernel's counters) is a sample: where there is no room it is dropped and counted, whatever the policy.
// All else is the life of sessions and never waits: beyond the slots it queues on the producer's side,
// and when that queue is long they are dropped and counted, or, with policy block, accepts_sessions() turns false so
// that the worker stops accepting: with the few events each live session can still add, memory is bounded.
class EventRing {
 public:
  EventRing(const RingOptions& options, std::shared_ptr<ConsumerSignal> signal);
  EventRing(const EventRing&) = delete;
  auto operator=(const EventRing&) -> EventRing& = delete;

  // --- the producer: the worker's loop ---
  [[nodiscard]] auto wants(EventKind kind) const -> bool { return contains(options_.mask, kind); }
  [[nodiscard]] auto wants(EventKind kind, Direction direction) const -> bool {
    return wants(kind) && options_.directions[index(direction)];
  }
  [[nodiscard]] auto mask() const -> EventMask { return options_.mask; }
  [[nodiscard]] auto follows(Direction direction) const -> bool { return options_.directions[index(direction)]; }
  [[nodiscard]] auto filter() const -> const SessionFilter& { return options_.filter; }
  // Is there room for so many chunk events, whose reads have at most so many bytes together? Always true with
  // policy drop. If not, the producer is noted as parked, and `on_room` is called (on the consumer's thread) when
  // there is room again. It holds until something else is pushed.
  [[nodiscard]] auto reserve(std::size_t events, std::size_t bytes) -> bool;
  // Adds an event of a kind that wants() says yes to; seen by the consumer after publish().
  void push(Event event, EventKind kind);
  // An event of that kind that could not be made, as there was no memory for it: it is counted in a gap.
  void lose(MonoTime time, ProxyId proxy, SessionNumber session);
  // At the end of the loop's turn: publishes what was pushed and wakes the consumer if it sleeps.
  void publish();
  // Always true with policy drop: whoever may miss events holds no client up.
  [[nodiscard]] auto accepts_sessions() const -> bool {
    // mutant: a-dropping-ring-holds-clients-up
    return options_.policy == FullPolicy::drop || overflow_.size() < overflow_limit;
  }
  // Nothing is left on this side: all was published.
  [[nodiscard]] auto producer_is_empty() const -> bool {
    return overflow_.empty() && !has_lost_ && tail_ == published_seen_;
  }
  // Before the ring is used: how the consumer tells the loop that there is room again (any thread).
  void set_on_room(std::function<void()> on_room) { on_room_ = std::move(on_room); }
  // The producer pushes no more: what is published so far is all.
  void close();

  // --- the consumer: the observer's thread ---
  // Calls `consume` for what is there, at most all slots once; returns how many.
  auto drain(const std::function<void(Event&)>& consume) -> std::size_t;
  [[nodiscard]] auto empty() const -> bool;
  // Closed, and all was drained.
  [[nodiscard]] auto ended() const -> bool { return closed_.load(std::memory_order_acquire) && empty(); }

  // --- any thread ---
  // Chunks that were not delivered so far, by policy drop.
  struct Dropped {
    std::uint64_t chunks = 0;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] auto dropped() const -> Dropped {
    return {dropped_chunks_.load(std::memory_order_relaxed), dropped_bytes_.load(std::memory_order_relaxed)};
  }

  // There was room again since the last call. The producer's.
  [[nodiscard]] auto take_room_news() -> bool { return room_news_.exchange(false, std::memory_order_relaxed); }
  // Who waits for room here; the worker's loop counts.
  [[nodiscard]] auto held_up() -> HeldUp& { return held_up_; }
  [[nodiscard]] auto policy() const -> FullPolicy { return options_.policy; }

  static constexpr std::size_t overflow_limit = 1024;

 private:
  [[nodiscard]] auto used() const -> std::size_t;
  [[nodiscard]] auto has_room(std::size_t events, std::size_t bytes) -> bool;
  void store(Event event);
  void flush_overflow();
  void count_lost(const Event& event);
  [[nodiscard]] auto queue(Event& event) -> bool;
  void tell_lost();
  [[nodiscard]] auto take_gap() -> Event;

  RingOptions options_;
  std::shared_ptr<ConsumerSignal> signal_;
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
  std::atomic<bool> room_news_{false};
  std::atomic<bool> closed_{false};
  std::atomic<std::uint64_t> dropped_chunks_{0};
  std::atomic<std::uint64_t> dropped_bytes_{0};
  HeldUp held_up_;
};

}  // namespace weir::event
