#include "net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <utility>

#include "base/out_of_memory.h"

namespace weir::net {
namespace {

constexpr std::uint64_t wakeup_word = ~std::uint64_t{0};
constexpr std::uint64_t timer_word = ~std::uint64_t{0} - 1;

auto to_timespec(Nanos ns) -> timespec {
  return {.tv_sec = static_cast<time_t>(ns.count() / 1'000'000'000),
          .tv_nsec = static_cast<long>(ns.count() % 1'000'000'000)};
}

auto add_internal(int epoll, int fd, std::uint64_t word, std::uint32_t events) -> bool {
  epoll_event event{};
  event.events = events;
  event.data.u64 = word;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

void drain_counter(int fd) {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(fd, &count, sizeof count);
}

}  // namespace

auto EventLoop::create(const Clock& clock) -> Result<std::unique_ptr<EventLoop>> {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  Fd wakeup(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!epoll || !wakeup || !timer || !add_internal(epoll.get(), wakeup.get(), wakeup_word, EPOLLIN) ||
      // Each expiry is an edge, read or not, so it need not be read.
      !add_internal(epoll.get(), timer.get(), timer_word, EPOLLIN | EPOLLET)) {
    return failure(fmt::format("cannot make an event loop: {}", errno_text(errno)), errno);
  }
  return std::unique_ptr<EventLoop>(new EventLoop(clock, std::move(epoll), std::move(wakeup), std::move(timer)));
}

EventLoop::EventLoop(const Clock& clock, Fd epoll, Fd wakeup, Fd timerfd)
    : clock_(clock),
      now_(clock.mono()),
      epoll_(std::move(epoll)),
      wakeup_(std::move(wakeup)),
      timerfd_(std::move(timerfd)),
      wheel_(now_) {}

const std::uint32_t EventLoop::stream_events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;

// Waits for a post() or stop() on another thread that is just returning; see post().
EventLoop::~EventLoop() { const std::lock_guard lock(posts_mutex_); }

// From run() to its return the loop is this thread's. A run_once() inside of it changes nothing.
class EventLoop::Running {
 public:
  explicit Running(EventLoop& loop) : loop_(loop), before_(loop.runner_.load(std::memory_order_relaxed)) {
    loop.assert_on_loop_thread();
    loop.runner_.store(this_thread_mark(), std::memory_order_relaxed);
  }
  ~Running() { loop_.runner_.store(before_, std::memory_order_relaxed); }
  Running(const Running&) = delete;
  auto operator=(const Running&) -> Running& = delete;

 private:
  EventLoop& loop_;
  const void* before_;
};

auto EventLoop::watch(int fd, ReadyHandler& handler, std::uint32_t events) -> Result<WatchToken> {
  assert_on_loop_thread();
  if (free_slot_ == no_slot) {
    slots_.push_back(Slot{.handler = nullptr, .generation = 0, .next_free = no_slot});
    free_slot_ = static_cast<std::uint32_t>(slots_.size() - 1);
  }
  make_room_for_all();
  const std::uint32_t index = free_slot_;
  Slot& slot = slots_[index];
  epoll_event event{};
  event.events = events;
  event.data.u64 = (std::uint64_t{slot.generation} << 32) | index;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return failure(fmt::format("cannot watch a descriptor: {}", errno_text(errno)), errno);
  }
  free_slot_ = slot.next_free;
  slot.handler = &handler;
  return WatchToken{index, slot.generation};
}

// Whoever watches may ask for another run, and to be freed: neither may fail when memory has run out. Some of those
// who watch nothing do so too.
void EventLoop::make_room_for_all() {
  constexpr std::size_t who_watch_nothing = 64;
  const std::size_t room = slots_.capacity() + who_watch_nothing;
  if (again_.capacity() >= room && running_.capacity() >= room && graveyard_.capacity() >= room) return;
  again_.reserve(room);
  running_.reserve(room);
  graveyard_.reserve(room);
}

auto EventLoop::find(WatchToken token) const -> ReadyHandler* {
  assert_on_loop_thread();
  if (token.slot >= slots_.size() || slots_[token.slot].generation != token.generation) return nullptr;
  return slots_[token.slot].handler;
}

void EventLoop::forget(WatchToken token) {
  assert_on_loop_thread();
  Slot& slot = slots_[token.slot];
  if (slot.generation != token.generation || slot.handler == nullptr) return;
  slot.handler = nullptr;
  ++slot.generation;
  slot.next_free = free_slot_;
  free_slot_ = token.slot;
}

void EventLoop::unwatch(WatchToken token, int fd) {
  assert_on_loop_thread();
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  forget(token);
}

void EventLoop::run_again(Rerun& rerun) {
  assert_on_loop_thread();
  if (rerun.queued_) return;
  again_.push_back(&rerun);
  rerun.queued_ = true;
}

void EventLoop::cancel(Rerun& rerun) {
  assert_on_loop_thread();
  if (!rerun.queued_) return;
  rerun.queued_ = false;
  std::replace(again_.begin(), again_.end(), &rerun, static_cast<Rerun*>(nullptr));
  std::replace(running_.begin(), running_.end(), &rerun, static_cast<Rerun*>(nullptr));  // mutant: rerun-after-cancel
}

void EventLoop::free_later(std::unique_ptr<Disposable> object) {
  assert_on_loop_thread();
  // Where there is no room for it, it is never freed: freed now, it would be within its own callback.
  if (!contained([&] { graveyard_.emplace_back(); })) return (void)object.release();
  graveyard_.back() = std::move(object);
}

void EventLoop::set_end_of_turn(std::function<void()> hook) {
  assert_on_loop_thread();
  end_of_turn_ = std::move(hook);
}

auto EventLoop::wait_time(std::optional<Nanos> longest_wait) const -> std::optional<Nanos> {
  if (!again_.empty()) return Nanos{0};
  std::optional<Nanos> best = longest_wait;
  for (const auto& next : {wheel_.next(), alarms_.next()}) {
    if (!next) continue;
    const Nanos left = std::max(*next - now_, Nanos{0});
    if (!best || left < *best) best = left;
  }
  return best;
}

// A timeout of the wait itself (epoll_pwait2(2)) is set and taken back around each wait, which costs more than an
// eighth of a small exchange. Nearly every wait ends with a descriptor's news, long before a session's timeout is due:
// for deadlines as far as those a timer of its own stays armed. One that is armed for an earlier moment than is due now
// is left alone: a turn in vain every few seconds costs less. For near deadlines, which faults make anew with each
// chunk, the timeout is the cheaper of the two.
auto EventLoop::arm_timer(Nanos left) -> bool {
  if (timer_armed_ && *timer_armed_ <= now_ + left) return true;  // mutant: armed-timer-not-moved-forward
  if (left < far_deadline && !no_pwait2_) return false;
  itimerspec spec{};
  spec.it_value = to_timespec(left);
  ::timerfd_settime(timerfd_.get(), 0, &spec, nullptr);
  timer_armed_ = now_ + left;
  return true;
}

auto EventLoop::sleep(std::optional<Nanos> left, std::span<epoll_event> events) -> int {
  const auto most = static_cast<int>(events.size());
  if (!left || arm_timer(*left)) return ::epoll_wait(epoll_.get(), events.data(), most, -1);
  const timespec timeout = to_timespec(*left);
  const int count = ::epoll_pwait2(epoll_.get(), events.data(), most, &timeout, nullptr);
  if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
  // Too old a kernel (before 5.11), or a container's filter that does not know the call yet.
  no_pwait2_ = true;
  return sleep(left, events);
}

auto EventLoop::poll_then_sleep(std::optional<Nanos> left, std::span<epoll_event> events) -> int {
  const MonoTime begin = clock_.mono();
  const Nanos budget = left ? std::min(*left, poll_.budget()) : poll_.budget();
  int count = 0;
  MonoTime now = begin;
  while (count == 0 && now - begin < budget) {
    count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
    now = clock_.mono();
  }
  if (count == 0) {
    now_ = now;  // what is left is left from here
    if (left) left = *left - (now - begin);
    if (!left || *left > Nanos{0}) count = sleep(left, events);
  }
  poll_.waited(clock_.mono() - begin, static_cast<std::size_t>(std::max(count, 0)));
  return count;
}

void EventLoop::wait(std::optional<Nanos> longest_wait) {
  std::array<epoll_event, batch> events;
  const auto left = wait_time(longest_wait);
  const bool sleeps = !left || *left > Nanos{0};
  const int count = !sleeps         ? ::epoll_wait(epoll_.get(), events.data(), batch, 0)
                    : poll_.is_on() ? poll_then_sleep(left, events)
                                    : sleep(left, events);
  now_ = clock_.mono();
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<std::size_t>(i)];
    const std::uint64_t word = event.data.u64;
    if (word == wakeup_word) {
      drain_counter(wakeup_.get());
      continue;
    }
    if (word == timer_word) {
      timer_armed_.reset();
      continue;
    }
    const auto index = static_cast<std::uint32_t>(word);
    const Slot& slot = slots_[index];
    ++counters_.events;
    // mutant: stale-generation-accepted
    if (slot.handler == nullptr || slot.generation != static_cast<std::uint32_t>(word >> 32)) {
      ++counters_.stale_events;
      continue;
    }
    (void)contained([&] { slot.handler->on_ready(event.events); });
  }
}

void EventLoop::rerun_due() {
  if (again_.empty()) return;
  running_.swap(again_);
  const MonoTime end = clock_.mono() + longest_reruns;
  std::size_t i = 0;
  for (; i < running_.size() && (i == 0 || clock_.mono() < end); ++i) {
    Rerun* rerun = running_[i];
    if (rerun == nullptr) continue;
    running_[i] = nullptr;
    rerun->queued_ = false;
    (void)contained([rerun] { rerun->on_rerun(); });
  }
  again_.insert(again_.begin(), running_.begin() + static_cast<std::ptrdiff_t>(i), running_.end());
  running_.clear();
}

void EventLoop::run_posts() {
  if (!has_posts_.load(std::memory_order_acquire)) return;
  Prepared tasks;
  {
    const std::lock_guard lock(posts_mutex_);
    tasks.swap(posts_);
    has_posts_.store(false, std::memory_order_relaxed);
  }
  // Each goes with what it owns before the next one runs.
  for (; !tasks.empty(); tasks.pop_front()) (void)contained(tasks.front());
}

void EventLoop::turn(std::optional<Nanos> longest_wait) {
  ++counters_.turns;
  wait(longest_wait);
  rerun_due();
  wheel_.advance(now_);
  alarms_.advance(now_);
  run_posts();
  if (nudged_.load(std::memory_order_relaxed) && nudged_.exchange(false)) (void)contained(on_nudge_);
  if (end_of_turn_) (void)contained(end_of_turn_);
  graveyard_.clear();
}

void EventLoop::run_once(std::optional<Nanos> longest_wait) {
  const Running running(*this);
  turn(longest_wait);
}

void EventLoop::run() {
  const Running running(*this);
  while (!stopping_.load(std::memory_order_acquire)) turn(std::nullopt);
}

// The wake-up is written under the mutex: the loop can find the task without having read it, run it and
// end, and a write after that would go to a descriptor that is closed, or another's by then. Tasks that
// join others in the queue need none: the loop takes the queue whole, after it has read the wake-up.
void EventLoop::post(Prepared tasks) noexcept {
  const std::lock_guard lock(posts_mutex_);
  const bool others_wait = !posts_.empty();
  posts_.splice(posts_.end(), tasks);
  has_posts_.store(true, std::memory_order_release);
  if (!others_wait) wake();
}

auto EventLoop::prepare(std::function<void()> task) -> Prepared {
  Prepared one;
  one.push_back(std::move(task));
  return one;
}

void EventLoop::nudge() noexcept {
  if (nudged_.exchange(true)) return;
  const std::lock_guard lock(posts_mutex_);
  wake();
}

void EventLoop::set_on_nudge(std::function<void()> on_nudge) {
  assert_on_loop_thread();
  on_nudge_ = std::move(on_nudge);
}

void EventLoop::stop() {
  const std::lock_guard lock(posts_mutex_);
  stopping_.store(true, std::memory_order_release);
  wake();
}

void EventLoop::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wakeup_.get(), &one, sizeof one);
}

}  // namespace weir::net
