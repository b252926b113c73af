#include "engine/engine.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <variant>

#include "base/out_of_memory.h"
#include "engine/worker_thread.h"

namespace weir::engine {

Engine::Engine(const EngineOptions& options)
    : clock_(*options.clock),
      seed_(options.seed),
      fault_budget_(options.fault_bytes),
      news_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      nowhere_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {}

auto Engine::create(const EngineOptions& options) -> Result<std::unique_ptr<Engine>> {
  std::unique_ptr<Engine> engine(new Engine(options));
  if (!engine->news_) return failure(fmt::format("cannot make an eventfd: {}", errno_text(errno)), errno);
  if (!engine->nowhere_) return failure(fmt::format("cannot make a socket: {}", errno_text(errno)), errno);
  for (unsigned i = 0; i < options.workers; ++i) {
    auto loop = net::EventLoop::create(engine->clock_);
    if (!loop) return tl::make_unexpected(loop.error());
    // On the only processor it would keep from running whom it waits for.
    if (usable_cores() > 1) (*loop)->poll_before_sleep(options.poll);
    engine->loops_.push_back(loop->get());
    engine->workers_.push_back(std::make_unique<WorkerThread>(*std::move(loop), engine->resolver_, i));
  }
  return engine;
}

Engine::~Engine() {
  if (running_) (void)stop(std::chrono::milliseconds{1000});
  for (const auto& [id, proxy] : proxies_) {
    for (const auto& path : proxy.unix_paths) ::unlink(path.c_str());
  }
  // Rings hold slices of the workers' blocks: they go first.
  observers_.clear();
  leaving_.clear();
}

void Engine::notify() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(news_.get(), &one, sizeof one);
}

auto Engine::start() -> Result<void> {
  running_ = true;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    WorkerThread& worker = *workers_[i];
    try {
      worker.thread = std::thread([loop = worker.loop.get()] { loop->run(); });
    } catch (const std::system_error& error) {
      (void)stop(std::chrono::milliseconds{1000});
      return failure(fmt::format("cannot start the thread of worker {} of {}: {}; raise the limit (ulimit -u or -v, "
                                 "pids.max) or ask for fewer workers",
                                 i + 1, workers_.size(), errno_text(error.code().value())),
                     error.code().value());
    }
  }
  return {};
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
  std::erase_if(removed_, [](const auto& shared) { return shared->places.load() == 0; });
  news.all_sessions_ended = removed_.empty() && std::ranges::all_of(proxies_, [](const auto& each) {
                              return each.second.shared->places.load() == 0;
                            });
  const std::lock_guard lock(failed_mutex_);
  news.openings_failed = !failed_openings_.empty();
  return news;
}

void Engine::tell_workers(const std::function<void(WorkerThread&)>& task) {
  if (!running_) {
    for (const auto& worker : workers_) task(*worker);
    return;
  }
  make_change(prepare_change(task));
}

auto Engine::prepare_change(const std::function<void(WorkerThread&)>& task) const -> PreparedChange {
  PreparedChange change;
  change.reserve(workers_.size());
  for (const auto& worker : workers_) {
    change.push_back(net::EventLoop::prepare([task, target = worker.get()] { task(*target); }));
  }
  return change;
}

void Engine::make_change(PreparedChange change) noexcept {
  ++changes_;
  for (std::size_t i = 0; i < change.size(); ++i) workers_[i]->loop->post(std::move(change[i]));
}

void Engine::settle(const Asker& asker, std::function<void(bool)> then) {
  if (is_settled() || !running_) return then(true);
  const auto nothing = [](WorkerThread&) { return std::monostate(); };
  auto finish = [this, changes = changes_, then = std::move(then)](const Answers<std::monostate>& answers) {
    const bool grows = changes > settled_;
    settled_ = std::max(settled_, changes);
    if (grows && on_settled_) on_settled_();
    then(!answers.partial);
  };
  if (closed_ <= settled_) return ask_workers<std::monostate>(asker, nothing, std::move(finish));
  // A loop that still accepted for a proxy that others had closed has handed it over by the end of the first round,
  // and by that of the second those others have closed what they were given.
  ask_workers<std::monostate>(asker, nothing,
                              [this, asker, nothing, finish = std::move(finish)](const Answers<std::monostate>& first) {
                                if (first.partial) return finish(first);
                                ask_workers<std::monostate>(asker, nothing, finish);
                              });
}

void Engine::ask_counters(const SessionHandle& handle) {
  if (handle.worker >= workers_.size()) return;
  const auto& worker = workers_[handle.worker];
  worker->loop->post([target = worker->worker.get(), handle] {
    if (auto* session = target->find_session(handle)) session->tell_counters();
  });
}

void Engine::acknowledge_at_once(const SessionHandle& handle, LegName leg, unsigned reads) {
  if (handle.worker >= workers_.size()) return;
  const auto& worker = workers_[handle.worker];
  worker->loop->post([target = worker->worker.get(), handle, leg, reads] {
    if (auto* session = target->find_session(handle)) session->acknowledge_at_once(leg, reads);
  });
}

void Engine::stop_accepting() {
  wants_session_ends_.store(true);
  is_ending_ = true;
  tell_workers([](WorkerThread& each) { each.worker->stop_accepting(); });
  for (auto& [id, proxy] : proxies_) end_listening(proxy);
}

void Engine::end_sessions(const event::CloseCause& cause, const std::string& detail) {
  PreparedChange ending;  // no change: nobody waits for it
  ending.reserve(workers_.size());
  for (const auto& worker : workers_) {
    ending.push_back(
        net::EventLoop::prepare([target = worker->worker.get(), cause, detail = std::string(detail)]() mutable {
          target->end_all(cause, std::move(detail));
        }));
  }
  for (std::size_t i = 0; i < ending.size(); ++i) workers_[i]->loop->post(std::move(ending[i]));
}

namespace {

void add_worker(Totals& sum, proxy::Worker& worker) {
  const proxy::WorkerCounters& counters = worker.counters();
  sum.sessions += counters.sessions;
  sum.connect_failures += counters.connect_failures;
  sum.watchdog_trips += counters.watchdog_trips;
  sum.held_up += counters.held_up;
  sum.longest_held_up = std::max(sum.longest_held_up, counters.longest_held_up);
  sum.connect_times.merge(counters.connect_times);
  for (std::size_t i = 0; i < sum.bytes.size(); ++i) sum.bytes[i] += counters.bytes[i];
  worker.each_session([&sum](const proxy::Session& session) {
    const auto totals = session.relay().totals();
    for (std::size_t i = 0; i < sum.bytes.size(); ++i) sum.bytes[i] += totals[i].bytes;
  });
}

void add(Totals& sum, const Totals& more) {
  sum.sessions += more.sessions;
  sum.connect_failures += more.connect_failures;
  sum.watchdog_trips += more.watchdog_trips;
  sum.held_up += more.held_up;
  sum.longest_held_up = std::max(sum.longest_held_up, more.longest_held_up);
  sum.connect_times.merge(more.connect_times);
  for (std::size_t i = 0; i < sum.bytes.size(); ++i) sum.bytes[i] += more.bytes[i];
}

}  // namespace

void Engine::add_shared(Totals& sum) const {
  for (const auto& [id, proxy] : proxies_) {
    sum.live += proxy.shared->live.load();
    sum.peak += proxy.shared->peak.load();
    sum.refused_accepts += proxy.shared->refused_accepts.load();
  }
}

void Engine::totals(const Asker& asker, std::function<void(Totals)> then) {
  ask_workers<Totals>(
      asker,
      [](WorkerThread& each) {
        Totals own;
        add_worker(own, *each.worker);
        return own;
      },
      [this, then = std::move(then)](const Answers<Totals>& answers) {
        Totals sum;
        sum.partial = answers.partial;
        for (const auto& own : answers.each) {
          if (own) add(sum, *own);
        }
        add_shared(sum);
        then(sum);
      });
}

auto Engine::totals() const -> Totals {
  Totals sum;
  sum.partial = running_;
  for (const auto& worker : workers_) {
    if (!running_) add_worker(sum, *worker->worker);
  }
  add_shared(sum);
  return sum;
}

auto Engine::stop(std::chrono::milliseconds patience) -> bool {
  if (!running_) return true;
  running_ = false;
  for (const auto& worker : workers_) worker->loop->stop();
  for (const auto& worker : workers_) {
    if (worker->thread.joinable()) worker->thread.join();  // all, but where start() failed
  }
  asks_.forget();  // what waits for an answer may belong to those who go before us
  bool all_shown = true;
  for (const auto& observing : observers_) all_shown = observing.thread->finish(patience) && all_shown;
  for (const auto& thread : leaving_) all_shown = thread->finish(patience) && all_shown;
  return all_shown;
}

}  // namespace weir::engine
