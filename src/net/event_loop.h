// Room net/, floor 2: sockets, the event loop, timers, the resolver. It knows nothing of proxying.
// Includes base/ only. Start with this file, then socket.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/home_thread.h"
#include "base/result.h"
#include "net/alarm_heap.h"
#include "net/poll_before_sleep.h"
#include "net/timer_wheel.h"

struct epoll_event;

namespace weir::net {

// What the loop calls when a descriptor it watches has news. `events` are EPOLL* bits: hints only;
// what a recv, send or splice returns decides (an edge may be stale by the time it is handled).
class ReadyHandler {
 public:
  virtual void on_ready(std::uint32_t events) = 0;

 protected:
  ~ReadyHandler() = default;
};

// Something to do again in one of the next turns, after a fair share of other work. Intrusive: in at most
// one list, once.
class Rerun {
 public:
  Rerun() = default;
  Rerun(const Rerun&) = delete;
  auto operator=(const Rerun&) -> Rerun& = delete;
  virtual void on_rerun() = 0;
  [[nodiscard]] auto queued() const -> bool { return queued_; }

 protected:
  ~Rerun() = default;

 private:
  friend class EventLoop;
  bool queued_ = false;
};

// Something whose end is put off to the end of the loop's turn.
class Disposable {
 public:
  virtual ~Disposable() = default;
};

// A watched descriptor's place in the loop: slot index and generation. The kernel hands both back
// with every event, and an event whose generation is not the slot's is stale and dropped, so it can
// never reach whoever got the slot next (the kernel may report a closed descriptor's event later in
// the same batch).
struct WatchToken {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};

struct LoopCounters {
  std::uint64_t turns = 0;
  std::uint64_t events = 0;
  std::uint64_t stale_events = 0;
};

// One per worker thread, on epoll, edge-triggered: a socket is added once with
// IN|OUT|RDHUP|PRI|ET and never modified. A turn: events (a batch of 256 at most), what asked to
// run again, timers and alarms, posts from other threads, then the end-of-turn hook, then the frees
// that were put off - nothing frees an object inside its own callback.
// Each callback is a piece of work by itself: what runs out of memory (std::bad_alloc) in one is left undone, counted
// (base/out_of_memory.h), and the loop goes on. Whoever has to end something then, such as a session, catches it first.
// All calls on the loop's own thread, but for post() and stop(): while the loop runs, those that change something abort
// on any other. Before run() and after it the loop is the thread's that made it, or that has waited for its end.
class EventLoop {
 public:
  // Edge-triggered and everything: what a relayed socket is added with, once, for its life.
  static const std::uint32_t stream_events;

  [[nodiscard]] static auto create(const Clock& clock) -> Result<std::unique_ptr<EventLoop>>;
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  auto operator=(const EventLoop&) -> EventLoop& = delete;

  // The handler must stay until remove(). Fails with ENOSPC (fs.epoll.max_user_watches) or ENOMEM, or throws
  // std::bad_alloc, and nothing is watched then.
  [[nodiscard]] auto watch(int fd, ReadyHandler& handler, std::uint32_t events) -> Result<WatchToken>;
  // What is watched with it; null if it is watched no more.
  [[nodiscard]] auto find(WatchToken token) const -> ReadyHandler*;
  // Before the descriptor is closed. The kernel forgets it at close if no other process has it...
  void forget(WatchToken token);
  // ...and where another process does (an inherited or handed-over socket): EPOLL_CTL_DEL, as epoll
  // follows the open file, not the descriptor (epoll(7), Q6).
  void unwatch(WatchToken token, int fd);

  // Once per turn's share, in the order of the calls; see Rerun. There is room for every object that watches a
  // descriptor.
  void run_again(Rerun& rerun);
  void cancel(Rerun& rerun);
  // Destroys it at the end of the turn. Never fails.
  void free_later(std::unique_ptr<Disposable> object);
  void set_end_of_turn(std::function<void()> hook);

  [[nodiscard]] auto wheel() -> TimerWheel& {
    assert_on_loop_thread();
    return wheel_;
  }
  [[nodiscard]] auto alarms() -> AlarmHeap& {
    assert_on_loop_thread();
    return alarms_;
  }
  // Read once a turn, after waiting; precise enough for timeouts.
  [[nodiscard]] auto now() const -> MonoTime { return now_; }
  [[nodiscard]] auto clock() const -> const Clock& { return clock_; }
  [[nodiscard]] auto counters() const -> const LoopCounters& { return counters_; }

  // Aborts with a sentence if the loop runs, and on another thread than the caller's. For the entries of what lives on
  // this loop; a load and a compare (3 to 4 instructions), so that it stays in release builds.
  void assert_on_loop_thread() const {
    const void* runner = runner_.load(std::memory_order_relaxed);
    if (runner != nullptr && runner != this_thread_mark()) [[unlikely]] {  // mutant: loop-on-any-thread
      abort_on_wrong_thread("net::EventLoop, or an object that lives on it,");
    }
  }

  // Any thread: runs `task` on the loop, soon. Tasks that the loop never came to are dropped with it. The
  // loop may be destroyed as soon as it has run the last task that others post to it, or returned from
  // run() after the stop(), though the post() or stop() may not yet have returned on its thread.
  void post(std::function<void()> task) { post(prepare(std::move(task))); }
  // The same in two steps, of which only the first needs memory: for what has to be posted to several loops or to
  // none, or cannot be given up.
  using Prepared = std::list<std::function<void()>>;
  [[nodiscard]] static auto prepare(std::function<void()> task) -> Prepared;
  void post(Prepared tasks) noexcept;
  // Any thread: runs what set_on_nudge() was given, soon; several nudges may become one. It needs no memory.
  void nudge() noexcept;
  // Before the loop runs: asks for events so long, at most, before it sleeps (net/poll_before_sleep.h). 0: never.
  void poll_before_sleep(Nanos most) { poll_ = PollBeforeSleep(most); }
  // Before the loop runs.
  void set_on_nudge(std::function<void()> on_nudge);
  // Any thread: run() returns after its turn.
  void stop();
  void run();
  // One turn that waits for events at most `longest_wait` (nullopt: as long as it takes). For
  // tests that turn a ManualClock: pass 0.
  void run_once(std::optional<Nanos> longest_wait);

 private:
  EventLoop(const Clock& clock, Fd epoll, Fd wakeup, Fd timerfd);
  struct Slot {
    ReadyHandler* handler = nullptr;
    std::uint32_t generation = 0;
    std::uint32_t next_free = 0;
  };
  class Running;
  void turn(std::optional<Nanos> longest_wait);
  [[nodiscard]] auto wait_time(std::optional<Nanos> longest_wait) const -> std::optional<Nanos>;
  // False: it is not armed, and the wait needs a timeout of its own.
  [[nodiscard]] auto arm_timer(Nanos left) -> bool;
  auto sleep(std::optional<Nanos> left, std::span<epoll_event> events) -> int;
  auto poll_then_sleep(std::optional<Nanos> left, std::span<epoll_event> events) -> int;
  void wait(std::optional<Nanos> longest_wait);
  void rerun_due();
  void run_posts();
  void make_room_for_all();
  void wake();  // under posts_mutex_

  const Clock& clock_;
  MonoTime now_;
  std::atomic<const void*> runner_{nullptr};  // the mark of the thread that is in run() or run_once()
  Fd epoll_;
  Fd wakeup_;
  Fd timerfd_;                           // ends a wait at a deadline that is far, or where epoll_pwait2(2) is missing
  std::optional<MonoTime> timer_armed_;  // when it expires, by clock_; no later than what is due next
  TimerWheel wheel_;
  AlarmHeap alarms_;
  std::vector<Slot> slots_;
  std::uint32_t free_slot_ = no_slot;
  std::vector<Rerun*> again_;
  std::vector<Rerun*> running_;  // those that are run in this turn
  std::vector<std::unique_ptr<Disposable>> graveyard_;
  std::function<void()> end_of_turn_;
  LoopCounters counters_;
  bool no_pwait2_ = false;
  PollBeforeSleep poll_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> has_posts_{false};
  std::mutex posts_mutex_;
  Prepared posts_;
  std::atomic<bool> nudged_{false};
  std::function<void()> on_nudge_;

  // What runs again in one turn. What is left comes first in the next, after the descriptors that have news: a thousand
  // sessions that have much to send would hold up the others for as long as all of them take.
  static constexpr Nanos longest_reruns = std::chrono::milliseconds{2};
  static constexpr Nanos far_deadline = std::chrono::milliseconds{50};
  static constexpr std::uint32_t no_slot = 0xffffffff;
  static constexpr int batch = 256;
};

}  // namespace weir::net
