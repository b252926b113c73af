#include "engine/observer_thread.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <variant>

#include "base/out_of_memory.h"

namespace weir::engine {

ObserverThread::ObserverThread(std::unique_ptr<event::Observer> observer, const Clock& clock,
                               std::function<void()> on_news)
    : observer_(std::move(observer)), clock_(clock), on_news_(std::move(on_news)) {
  observer_->set_wake([signal = signal_] { signal->wake(); });
}

ObserverThread::~ObserverThread() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  signal_->wake();
  thread_.join();
}

auto ObserverThread::add_ring(const event::RingOptions& options) -> const std::shared_ptr<event::EventRing>& {
  return rings_.emplace_back(std::make_shared<event::EventRing>(options, signal_));
}

auto ObserverThread::start() -> Result<void> {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    return failure(fmt::format("cannot start a thread for an observer: {}; raise the limit (ulimit -u or -v, pids.max)",
                               errno_text(error.code().value())),
                   error.code().value());
  }
  return {};
}

void ObserverThread::give(const event::Event& event) {
  if (lost_) tell_lost();
  if (lost_ || !contained([&] { observer_->on_event(event, wall_offset_); })) lose(event);
}

void ObserverThread::lose(const event::Event& event) {
  if (!lost_) lost_ = event::Event{event.time, event.proxy, event.session, event::Gap{.error = ENOMEM}};
  auto& gap = std::get<event::Gap>(lost_->what);
  if (const auto* chunk = std::get_if<event::ChunkRead>(&event.what)) {
    ++gap.chunks;
    gap.bytes += chunk->bytes.size();
  } else if (const auto* before = std::get_if<event::Gap>(&event.what)) {
    gap.chunks += before->chunks;
    gap.bytes += before->bytes;
    gap.events += before->events;
  } else {
    ++gap.events;
  }
}

void ObserverThread::tell_lost() {
  if (contained([this] { observer_->on_event(*lost_, wall_offset_); })) lost_.reset();
}

// What it has no memory to write now it keeps.
auto ObserverThread::flush() -> bool {
  if (lost_) tell_lost();
  bool takes_more = true;
  (void)contained([&] { takes_more = observer_->flush(); });
  return takes_more;
}

auto ObserverThread::drain(const std::function<void(event::Event&)>& take) -> bool {
  // Sampled once a batch: a stepped wall clock is followed, and one batch stays in one time.
  wall_offset_ = clock_.wall().time_since_epoch() - clock_.mono().time_since_epoch();
  std::size_t count = 0;
  for (const auto& ring : rings_) count += ring->drain(take);
  if (deaf_.load(std::memory_order_relaxed)) return count > 0;
  const auto due = observer_->flush_due();
  if ((count > 0 || (due && *due <= Nanos{0})) && !flush()) {
    deaf_.store(true);  // events are still taken, so that nobody waits for room, and thrown away
    on_news_();
  }
  return count > 0;
}

auto ObserverThread::all_rings_ended() const -> bool {
  return std::ranges::all_of(rings_, [](const auto& ring) { return ring->ended(); });
}

void ObserverThread::run() {
  const std::function<bool()> still_empty = [this] {
    return !stopping_.load() && !all_rings_ended() &&
           std::ranges::all_of(rings_, [](const auto& ring) { return ring->empty(); });
  };
  const std::function<void(event::Event&)> take = [this](event::Event& event) {
    if (!deaf_.load(std::memory_order_relaxed)) give(event);
    taken_.store(taken_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  };
  while (true) {
    const bool last_round = stopping_.load();
    const bool found = drain(take);
    if ((last_round && !found) || all_rings_ended()) break;
    const bool deaf = deaf_.load(std::memory_order_relaxed);
    if (!last_round) signal_->wait(found, still_empty, deaf ? std::nullopt : observer_->flush_due());
  }
  if (lost_ && !deaf_.load(std::memory_order_relaxed)) tell_lost();
  (void)contained([this] { observer_->on_end(); });  // a deaf one too: it may hold what a full disk has not taken yet
  {
    const std::lock_guard lock(mutex_);
    ended_.store(true);
    ended_signal_.notify_all();
  }
  on_news_();
}

auto ObserverThread::finish(std::chrono::milliseconds patience) -> bool {
  const auto now = [] { return std::chrono::steady_clock::now(); };
  const auto limit = now() + most_patience * patience;
  auto deadline = now() + patience;
  std::uint64_t seen = taken_.load();
  std::unique_lock lock(mutex_);
  while (!ended_.load()) {
    // What did not fit into the rings follows as the observer makes room.
    bool all_given = true;
    for (const auto& ring : rings_) {
      ring->publish();
      all_given = all_given && ring->producer_is_empty();
    }
    if (all_given && !stopping_.exchange(true)) signal_->wake();
    ended_signal_.wait_for(lock, std::chrono::milliseconds{5});
    if (const auto taken = taken_.load(); taken != seen) {
      seen = taken;
      deadline = now() + patience;
    }
    if (!ended_.load() && (now() >= deadline || now() >= limit)) {
      stopping_.store(true);
      thread_.detach();
      return false;
    }
  }
  lock.unlock();
  thread_.join();
  return true;
}

}  // namespace weir::engine
