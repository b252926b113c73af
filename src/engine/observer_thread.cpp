#include "engine/observer_thread.h"

#include <algorithm>

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

void ObserverThread::start() {
  thread_ = std::thread([this] { run(); });
}

auto ObserverThread::drain() -> bool {
  // Sampled once a batch: a stepped wall clock is followed, and one batch stays in one time.
  const Nanos wall_offset = clock_.wall().time_since_epoch() - clock_.mono().time_since_epoch();
  std::size_t count = 0;
  bool deaf = deaf_.load(std::memory_order_relaxed);
  for (const auto& ring : rings_) {
    count += ring->drain([&](event::Event& event) {
      if (!deaf) observer_->on_event(event, wall_offset);
      taken_.store(taken_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    });
  }
  if (deaf) return count > 0;
  const auto due = observer_->flush_due();
  if ((count > 0 || (due && *due <= Nanos{0})) && !observer_->flush()) {
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
  while (true) {
    const bool last_round = stopping_.load();
    const bool found = drain();
    if ((last_round && !found) || all_rings_ended()) break;
    const bool deaf = deaf_.load(std::memory_order_relaxed);
    if (!last_round) signal_->wait(found, still_empty, deaf ? std::nullopt : observer_->flush_due());
  }
  observer_->on_end();  // a deaf one too: it may hold what a full disk has not taken yet
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
