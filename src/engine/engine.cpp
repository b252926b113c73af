#include "engine/engine.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "engine/worker_thread.h"

namespace weir::engine {

Engine::Engine(const EngineOptions& options)
    : clock_(*options.clock),
      seed_(options.seed),
      handshakes_(options.handshakes),
      fault_budget_(options.fault_bytes),
      news_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

auto Engine::create(const EngineOptions& options) -> Result<std::unique_ptr<Engine>> {
  std::unique_ptr<Engine> engine(new Engine(options));
  if (!engine->news_) return failure(fmt::format("cannot make an eventfd: {}", errno_text(errno)), errno);
  for (unsigned i = 0; i < options.workers; ++i) {
    auto loop = net::EventLoop::create(engine->clock_);
    if (!loop) return tl::make_unexpected(loop.error());
    engine->workers_.push_back(std::make_unique<WorkerThread>(*std::move(loop), engine->resolver_, i));
  }
  return engine;
}

Engine::~Engine() {
  if (running_) (void)stop(std::chrono::milliseconds{1000});
  remove_unix_paths();
  // Rings hold slices of the workers' blocks: they go first.
  observers_.clear();
  leaving_.clear();
}

// With the listeners, and not later: a successor may listen there while the sessions drain.
void Engine::remove_unix_paths() {
  for (auto& [id, proxy] : proxies_) {
    for (const auto& path : std::exchange(proxy.unix_paths, {})) ::unlink(path.c_str());
  }
}

void Engine::notify() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(news_.get(), &one, sizeof one);
}

void Engine::start() {
  running_ = true;
  for (const auto& worker : workers_) {
    worker->thread = std::thread([loop = worker->loop.get()] { loop->run(); });
  }
}

auto Engine::live_sessions() const -> std::uint64_t {
  std::uint64_t live = 0;
  for (const auto& [id, proxy] : proxies_) live += proxy.shared->live.load();
  return live;
}

auto Engine::take_news() -> News {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(news_.get(), &count, sizeof count);
  News news;
  for (auto& observing : observers_) {
    if (!observing.thread->is_deaf() || std::exchange(observing.deaf_told, true)) continue;
    news.deaf.push_back(observing.id);
  }
  std::erase_if(leaving_, [](const auto& thread) { return thread->has_ended(); });
  for (const auto& [id, proxy] : proxies_) {
    const auto limit = proxy.spec.accept_limit;
    news.accept_limit_reached |= limit && proxy.shared->accepted.load() >= *limit;
  }
  // After that: a session that was counted has had its place before, so it is seen here.
  news.all_sessions_ended =
      std::ranges::all_of(proxies_, [](const auto& each) { return each.second.shared->places.load() == 0; });
  return news;
}

// Runs `task` on every loop and waits until each has, or `patience` has passed: then false.
auto Engine::each_worker(const std::function<void(WorkerThread&)>& task, std::chrono::milliseconds patience) -> bool {
  struct Progress {
    std::mutex mutex;
    std::condition_variable done;
    std::size_t left = 0;
    bool abandoned = false;
  };
  auto progress = std::make_shared<Progress>();
  progress->left = workers_.size();
  for (const auto& worker : workers_) {
    worker->loop->post([progress, task, target = worker.get()] {
      const std::lock_guard lock(progress->mutex);
      if (progress->abandoned) return;
      task(*target);
      --progress->left;
      progress->done.notify_all();
    });
  }
  std::unique_lock lock(progress->mutex);
  const bool all = progress->done.wait_for(lock, patience, [&] { return progress->left == 0; });
  progress->abandoned = true;
  return all;
}

// Runs `task` on every loop, however late; it must own what it touches. False: not within `patience`.
auto Engine::tell_workers(const std::function<void(WorkerThread&)>& task, std::chrono::milliseconds patience) -> bool {
  if (!running_) {
    for (const auto& worker : workers_) task(*worker);
    return true;
  }
  for (const auto& worker : workers_) worker->loop->post([task, target = worker.get()] { task(*target); });
  return each_worker([](WorkerThread&) {}, patience);
}

void Engine::ask_counters(const SessionHandle& handle) {
  if (handle.worker >= workers_.size()) return;
  const auto& worker = workers_[handle.worker];
  worker->loop->post([target = worker->worker.get(), handle] {
    if (auto* session = target->find_session(handle)) session->tell_counters();
  });
}

void Engine::stop_accepting() {
  wants_session_ends_.store(true);
  remove_unix_paths();
  const auto stop = [](WorkerThread& each) { each.worker->stop_accepting(); };
  if (running_) {
    constexpr std::chrono::milliseconds patience{1000};  // a loop that is late does it later
    if (each_worker(stop, patience)) return;
  }
  for (const auto& worker : workers_) worker->loop->post([stop, target = worker.get()] { stop(*target); });
}

void Engine::end_sessions(const event::CloseCause& cause, const std::string& detail) {
  for (const auto& worker : workers_) {
    worker->loop->post([target = worker->worker.get(), cause, detail] { target->end_all(cause, detail); });
  }
}

auto Engine::totals(std::chrono::milliseconds patience) -> Totals {
  Totals sum;
  const auto add = [&sum](WorkerThread& each) {
    const proxy::WorkerCounters& counters = each.worker->counters();
    sum.sessions += counters.sessions;
    sum.connect_failures += counters.connect_failures;
    sum.watchdog_trips += counters.watchdog_trips;
    sum.connect_times.merge(counters.connect_times);
    for (std::size_t i = 0; i < sum.bytes.size(); ++i) sum.bytes[i] += counters.bytes[i];
    each.worker->each_session([&sum](const proxy::Session& session) {
      const auto totals = session.relay().totals();
      for (std::size_t i = 0; i < sum.bytes.size(); ++i) sum.bytes[i] += totals[i].bytes;
    });
  };
  if (running_) {
    sum.partial = !each_worker(add, patience);
  } else {
    for (const auto& worker : workers_) add(*worker);
  }
  for (const auto& [id, proxy] : proxies_) {
    sum.live += proxy.shared->live.load();
    sum.peak += proxy.shared->peak.load();
    sum.refused_accepts += proxy.shared->refused_accepts.load();
  }
  return sum;
}

auto Engine::stop(std::chrono::milliseconds patience) -> bool {
  if (!running_) return true;
  running_ = false;
  for (const auto& worker : workers_) worker->loop->stop();
  for (const auto& worker : workers_) worker->thread.join();
  bool all_shown = true;
  for (const auto& observing : observers_) all_shown = observing.thread->finish(patience) && all_shown;
  for (const auto& thread : leaving_) all_shown = thread->finish(patience) && all_shown;
  return all_shown;
}

}  // namespace weir::engine
