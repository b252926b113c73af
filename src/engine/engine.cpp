#include "engine/engine.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "proxy/acceptor.h"

namespace weir::engine {

struct Engine::WorkerThread {
  WorkerThread(std::unique_ptr<net::EventLoop> owned_loop, net::Resolver& resolver)
      : loop(std::move(owned_loop)), worker(std::make_unique<proxy::Worker>(*loop, resolver)) {}
  std::unique_ptr<net::EventLoop> loop;
  std::unique_ptr<proxy::Worker> worker;
  std::thread thread;
};

Engine::Engine(const EngineOptions& options)
    : clock_(*options.clock),
      seed_(options.seed),
      fault_budget_(options.fault_bytes),
      news_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

auto Engine::create(const EngineOptions& options) -> Result<std::unique_ptr<Engine>> {
  std::unique_ptr<Engine> engine(new Engine(options));
  if (!engine->news_) return failure(fmt::format("cannot make an eventfd: {}", errno_text(errno)), errno);
  for (unsigned i = 0; i < options.workers; ++i) {
    auto loop = net::EventLoop::create(engine->clock_);
    if (!loop) return tl::make_unexpected(loop.error());
    engine->workers_.push_back(std::make_unique<WorkerThread>(*std::move(loop), engine->resolver_));
  }
  return engine;
}

Engine::~Engine() {
  if (running_) (void)stop(std::chrono::milliseconds{1000});
  for (const auto& path : unix_paths_) ::unlink(path.c_str());
  // Rings hold slices of the workers' blocks: they go first.
  observers_.clear();
}

void Engine::notify() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(news_.get(), &one, sizeof one);
}

void Engine::add_observer(ObserverSpec spec) {
  Observing observing;
  observing.thread = std::make_unique<ObserverThread>(std::move(spec.observer), clock_, [this] {
    observer_closed_.store(true);
    notify();
  });
  for (const auto& worker : workers_) {
    event::EventRing& ring = observing.thread->add_ring(spec.ring);
    proxy::Worker* target = worker->worker.get();
    net::EventLoop* loop = worker->loop.get();
    ring.set_on_room([loop, target] { loop->post([target] { target->resume_parked(); }); });
    worker->worker->add_ring(ring);
    observing.rings.push_back(&ring);
  }
  observers_.push_back(std::move(observing));
}

// Binds all of `wanted`; the port that the kernel picks for the first family serves the second too.
auto Engine::bind_all(const ListenAddress& wanted, net::SocketFactory& sockets, const net::StreamOptions& options,
                      Listeners& listeners) -> Result<Address> {
  std::optional<Address> bound;
  for (const Address& each : wanted.addresses) {
    Address address = each;
    if (bound && address.is_ip()) {
      Address::Ip ip = *address.ip();
      ip.port = bound->port();
      address = Address(ip);
    }
    auto listener = sockets.listen(address, options);
    if (!listener) {
      // One of two families may be missing on this machine.
      const bool family_missing = listener.error().code == EAFNOSUPPORT || listener.error().code == EADDRNOTAVAIL;
      if (wanted.addresses.size() > 1 && family_missing && (&each != &wanted.addresses.back() || bound)) continue;
      return tl::make_unexpected(listener.error());
    }
    if (const auto* path = address.unix_path(); path != nullptr && !path->starts_with('@')) {
      unix_paths_.push_back(*path);
    }
    auto here = net::local_address(listener->get());
    if (!here) return here;
    bound = *std::move(here);
    listeners.push_back(std::make_shared<const Fd>(*std::move(listener)));
  }
  return *bound;
}

auto Engine::add_listeners(proxy::ProxySettings& settings, const ProxySpec& spec, Listeners& listeners)
    -> Result<std::string> {
  if (const auto* given = std::get_if<GivenListener>(&spec.listen)) {
    listeners.push_back(given->socket);
    return net::local_address(given->socket->get()).map([](const Address& address) { return address.to_string(); });
  }
  const ListenAddress& wanted = std::get<BindAddress>(spec.listen).address;
  net::KernelSockets sockets(spec.network_namespace);
  std::vector<Listeners> taken;  // kept meanwhile, so that the kernel picks another port each time
  while (true) {
    const auto bound = bind_all(wanted, sockets, settings.stream_options(), listeners);
    if (bound && wanted.addresses.size() == 1) return bound->to_string();
    if (bound) {
      return fmt::format("{}:{}", std::string_view(wanted.text).substr(0, wanted.text.rfind(':')), bound->port());
    }
    // The port that was free in one family may be in use in the other.
    constexpr std::size_t most_tries = 16;
    const bool picked = wanted.addresses.front().port() == 0 && !listeners.empty();
    if (!picked || bound.error().code != EADDRINUSE || taken.size() == most_tries) {
      return tl::make_unexpected(bound.error());
    }
    taken.push_back(std::exchange(listeners, {}));
  }
}

auto Engine::add_proxy(const ProxySpec& spec) -> Result<std::string> {
  auto settings = std::make_shared<proxy::ProxySettings>();
  settings->id = ProxyId{static_cast<std::uint32_t>(settings_.size())};
  settings->name = spec.name;
  settings->upstream = std::make_shared<proxy::FixedUpstream>(spec.upstream);
  settings->timeouts = spec.timeouts;
  settings->keepalive_count = spec.keepalive_count;
  settings->on_connect_failure = spec.on_connect_failure;
  settings->max_sessions = spec.max_sessions;
  settings->accept_limit = spec.accept_limit;
  settings->fault_queue_limit = spec.fault_queue_limit;

  Listeners listeners;
  auto text = add_listeners(*settings, spec, listeners);
  if (!text) return text;

  auto shared = std::make_shared<proxy::ProxyShared>();
  auto fault_state = std::make_shared<fault::ProxyFaults>(seed_, spec.name);
  const auto faults = spec.faults ? spec.faults : std::make_shared<const fault::FaultList>();
  if (spec.accept_limit) wants_session_ends_.store(true);
  shared->on_place_free = [this] {
    // In one order with `places` and with those who set it and then look at `places`: else both sides could
    // miss the other, and the last session's end would wake nobody.
    if (wants_session_ends_.load()) notify();
  };
  std::vector<proxy::Worker*> peers;
  for (const auto& worker : workers_) peers.push_back(worker->worker.get());
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    auto on_worker = std::make_unique<proxy::ProxyOnWorker>();
    on_worker->settings = settings;
    on_worker->shared = shared;
    on_worker->sockets = std::make_unique<net::KernelSockets>(spec.network_namespace);
    on_worker->faults = faults;
    on_worker->fault_state = fault_state;
    on_worker->fault_budget = &fault_budget_;
    on_worker->peers = peers;
    on_worker->index = settings_.size();
    for (const auto& observing : observers_) on_worker->observers.add(*observing.rings[i]);
    proxy::ProxyOnWorker& added = peers[i]->add_proxy(std::move(on_worker));
    for (const auto& listener : listeners) {
      auto acceptor = std::make_unique<proxy::Acceptor>(*peers[i], added, listener);
      if (auto started = acceptor->start(); !started) return tl::make_unexpected(started.error());
      added.acceptors.push_back(std::move(acceptor));
    }
  }
  settings_.push_back(std::move(settings));
  shared_.push_back(std::move(shared));
  faults_.push_back(std::move(fault_state));
  return text;
}

auto Engine::set_faults(ProxyId proxy, const std::shared_ptr<const fault::FaultList>& list,
                        std::chrono::milliseconds patience) -> bool {
  const auto at = static_cast<std::size_t>(proxy);
  const auto take = [at, list](proxy::Worker& worker) { worker.set_faults(worker.proxy(at), list); };
  if (!running_) {
    for (const auto& worker : workers_) take(*worker->worker);
    return true;
  }
  // Not each_worker(): what is late is to be done all the same.
  struct Progress {
    std::mutex mutex;
    std::condition_variable done;
    std::size_t left = 0;
  };
  auto progress = std::make_shared<Progress>();
  progress->left = workers_.size();
  for (const auto& worker : workers_) {
    worker->loop->post([take, progress, target = worker->worker.get()] {
      take(*target);
      const std::lock_guard lock(progress->mutex);
      if (--progress->left == 0) progress->done.notify_all();
    });
  }
  std::unique_lock lock(progress->mutex);
  const bool all = progress->done.wait_for(lock, patience, [&] { return progress->left == 0; });
  faults_[at]->forget_all_but(*list);
  return all;
}

auto Engine::faults(ProxyId proxy) const -> const fault::ProxyFaults& {
  return *faults_[static_cast<std::size_t>(proxy)];
}

void Engine::start() {
  running_ = true;
  for (const auto& observing : observers_) observing.thread->start();
  for (const auto& worker : workers_) {
    worker->thread = std::thread([loop = worker->loop.get()] { loop->run(); });
  }
}

auto Engine::live_sessions() const -> std::uint64_t {
  std::uint64_t live = 0;
  for (const auto& shared : shared_) live += shared->live.load();
  return live;
}

auto Engine::take_news() -> News {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(news_.get(), &count, sizeof count);
  News news;
  news.observer_closed = observer_closed_.load();
  for (std::size_t i = 0; i < shared_.size(); ++i) {
    const auto limit = settings_[i]->accept_limit;
    news.accept_limit_reached |= limit && shared_[i]->accepted.load() >= *limit;
  }
  // After that: a session that was counted has had its place before, so it is seen here.
  news.all_sessions_ended = std::ranges::all_of(shared_, [](const auto& shared) { return shared->places.load() == 0; });
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

void Engine::stop_accepting() {
  wants_session_ends_.store(true);
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
  for (const auto& shared : shared_) {
    sum.live += shared->live.load();
    sum.peak += shared->peak.load();
    sum.refused_accepts += shared->refused_accepts.load();
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
  return all_shown;
}

}  // namespace weir::engine
