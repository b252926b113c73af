// Proxies of a running engine: they come, change and go. See engine.h.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/out_of_memory.h"
#include "engine/engine.h"
#include "engine/listeners.h"
#include "engine/worker_thread.h"
#include "proxy/acceptor.h"

namespace weir::engine {
namespace {

auto is_abstract(const ListenAddress& listen) -> bool {
  const auto* path = listen.addresses[0].unix_path();
  return path != nullptr && path->starts_with('@');
}

constexpr auto index_of(ProxyId id) -> std::size_t { return static_cast<std::size_t>(id); }

}  // namespace

auto Engine::proxy_of(ProxyId id) -> Proxy& { return proxies_.at(id); }

auto Engine::make_settings(ProxyId id, const ProxySpec& spec) const -> std::shared_ptr<const proxy::ProxySettings> {
  auto settings = std::make_shared<proxy::ProxySettings>();
  settings->id = id;
  settings->name = spec.name;
  settings->rules = spec.rules;
  settings->accept_limit = spec.accept_limit;
  settings->forbidden = spec.forbidden;
  return settings;
}

auto Engine::add_proxy(ProxySpec spec) -> Result<ListenAddress> {
  const ProxyId id = create_proxy(std::move(spec));
  auto where = open_proxy(id);
  if (!where) remove_proxy(id);
  return where;
}

auto Engine::create_proxy(ProxySpec spec) -> ProxyId {
  const ProxyId id{next_id_++};
  auto shared = std::make_shared<proxy::ProxyShared>();
  if (spec.accept_limit) wants_session_ends_.store(true);
  shared->on_place_free = [this] {
    // In one order with `places` and with those who set it and then look at `places`: else both sides could
    // miss the other, and the last session's end would wake nobody.
    if (wants_session_ends_.load()) notify();
  };
  std::vector<proxy::Worker*> peers;
  for (const auto& worker : workers_) peers.push_back(worker->worker.get());
  const auto settings = make_settings(id, spec);
  std::vector<std::vector<std::shared_ptr<event::EventRing>>> rings;  // by observer, then by worker
  for (const auto& observing : observers_) {
    if (observing.sees(spec)) rings.push_back(observing.thread->rings());
  }
  const auto fault_state = std::make_shared<fault::ProxyFaults>(seed_, spec.name);
  const auto faults = spec.faults ? spec.faults : std::make_shared<const fault::FaultList>();
  tell_workers([settings, shared, peers, rings, fault_state, faults, budget = &fault_budget_,
                network_namespace = spec.network_namespace](WorkerThread& each) {
    auto added = std::make_unique<proxy::ProxyOnWorker>();
    added->settings = settings;
    added->shared = shared;
    added->sockets = std::make_unique<net::KernelSockets>(network_namespace);
    added->peers = peers;
    added->index = index_of(settings->id);
    for (const auto& of_observer : rings) {
      auto& ring = *of_observer[each.worker->number()];
      if (each.worker->has_ring(ring)) added->observers.add(ring);
    }
    added->faults = faults;
    added->fault_state = fault_state;
    added->fault_budget = budget;
    added->open = false;
    each.worker->add_proxy(std::move(added));
  });
  proxies_.emplace(id, Proxy{std::move(spec), settings, std::move(shared), fault_state});
  return id;
}

auto Engine::bind(ProxyId id, const proxy::ProxyRules& rules) -> Result<Listeners> {
  if (is_ending_) return failure("this process is ending and listens no more", ECANCELED);
  const auto network_namespace = proxy_of(id).spec.network_namespace;
  auto listeners = make_listeners(rules.listen, network_namespace, rules.stream_options());
  // An accept(2) that a loop is in the middle of keeps the socket that was closed under it, and an abstract name with
  // it, until that thread has a turn of the processor again.
  constexpr int most_tries = 100;
  for (int tries = 0;
       !listeners && listeners.error().code == EADDRINUSE && is_abstract(rules.listen) && tries < most_tries; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds{1});
    listeners = make_listeners(rules.listen, network_namespace, rules.stream_options());
  }
  return listeners;
}

auto Engine::open_proxy(ProxyId id) -> Result<ListenAddress> {
  Proxy& proxy = proxy_of(id);
  // A given socket is the acceptors' alone, so that it closes with the last of them; it opens once.
  if (proxy.spec.given_listener) {
    Listeners given;
    given.are_given = true;
    given.sockets.push_back(std::exchange(proxy.spec.given_listener, nullptr));
    const auto address = net::local_address(given.sockets[0]->get());
    if (!address) return tl::make_unexpected(address.error());
    given.where = {.addresses = {*address}, .text = address->to_string()};
    return open_proxy(id, std::move(given));
  }
  auto listeners = bind(id, proxy.spec.rules);
  if (!listeners) return tl::make_unexpected(listeners.error());
  return open_proxy(id, *std::move(listeners));
}

auto Engine::open_proxy(ProxyId id, Listeners listeners) -> Result<ListenAddress> {
  if (is_ending_) return failure("this process is ending and listens no more", ECANCELED);
  Proxy& proxy = proxy_of(id);
  proxy.unix_paths = std::move(listeners.unix_paths);
  proxy.listening.clear();
  if (!listeners.are_given) proxy.listening.assign(listeners.sockets.begin(), listeners.sockets.end());
  proxy.open = true;
  proxy.opening = changes_ + 1;
  {
    const std::lock_guard lock(failed_mutex_);
    failed_openings_.reserve(failed_openings_.size() + workers_.size() * (listeners.sockets.size() + 1));
  }
  tell_workers([this, id, sockets = std::move(listeners.sockets), opening = proxy.opening](WorkerThread& each) {
    const auto failed = [&](Error error) {
      const std::lock_guard lock(failed_mutex_);
      failed_openings_.push_back({.proxy = id, .change = opening, .error = std::move(error)});
      notify();
    };
    const bool done = contained([&] {
      proxy::ProxyOnWorker* on_worker = each.worker->find_proxy(index_of(id));
      // There was no memory for it when it came: without it the others must not accept, as they hand over to it.
      if (on_worker == nullptr) return failed({{}, ENOMEM});
      on_worker->open = true;
      for (const auto& socket : sockets) {
        auto acceptor = std::make_unique<proxy::Acceptor>(*each.worker, *on_worker, socket);
        on_worker->acceptors.reserve(on_worker->acceptors.size() + 1);
        if (auto started = acceptor->start(); started) {
          on_worker->acceptors.push_back(std::move(acceptor));
        } else {
          failed(started.error());
        }
      }
    });
    if (!done) failed({{}, ENOMEM});
  });
  if (running_) return std::move(listeners.where);
  if (const auto failed = take_failed_openings(); !failed.empty()) return tl::make_unexpected(failed.front().error);
  return std::move(listeners.where);
}

auto Engine::take_failed_openings() -> std::vector<FailedOpening> {
  std::vector<FailedOpening> told;
  {
    const std::lock_guard lock(failed_mutex_);
    told.swap(failed_openings_);
  }
  // Each loop tells its own, perhaps of an opening that was closed meanwhile.
  for (FailedOpening& failed : told) {
    if (failed.error.message.empty()) failed.error.message = "no memory for it: " + errno_text(failed.error.code);
  }
  std::erase_if(told, [this](const FailedOpening& failed) {
    const auto found = proxies_.find(failed.proxy);
    if (found == proxies_.end() || !found->second.open || found->second.opening != failed.change) return true;
    close_proxy(failed.proxy, "it could not be opened");
    return false;
  });
  return told;
}

// The loops let go of their acceptors when they come to it. Until then the descriptors stay theirs, but name a socket
// that nobody can reach, so that what they named has closed: without waiting for the loops, its address is free.
void Engine::end_listening(Proxy& proxy) const {
  for (const auto& path : proxy.unix_paths) ::unlink(path.c_str());
  proxy.unix_paths.clear();
  for (const auto& each : proxy.listening) {
    const auto socket = each.lock();
    if (!socket) continue;
    // Who stands in the kernel's queue is as one whose session ends, and would be reset.
    constexpr int most = 256;
    for (int i = 0; i < most; ++i) {
      if (!Fd(::accept4(socket->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC))) break;
    }
    // First, as an accept(2) that is under way on another thread keeps the socket for that long.
    ::shutdown(socket->get(), SHUT_RDWR);
    ::dup3(nowhere_.get(), socket->get(), O_CLOEXEC);  // mutant: engine-closed-listener-keeps-its-name
  }
  proxy.listening.clear();
}

void Engine::close_proxy(ProxyId id, const std::string& why) {
  Proxy& proxy = proxy_of(id);
  if (!proxy.open) return;
  proxy.open = false;
  end_listening(proxy);
  tell_workers([id, why](WorkerThread& each) {
    auto* on_worker = each.worker->find_proxy(index_of(id));
    if (on_worker == nullptr) return;
    on_worker->acceptors.clear();
    on_worker->open = false;  // what another worker accepted before and hands over now is closed as it comes
    each.worker->close_sessions(*on_worker, why);
  });
  closed_ = changes_;
}

void Engine::set_rules(ProxyId id, proxy::ProxyRules rules) {
  Proxy& proxy = proxy_of(id);
  std::vector<bool> saw;  // by observer
  for (const auto& observing : observers_) saw.push_back(observing.sees(proxy.spec));
  proxy.spec.rules = std::move(rules);
  proxy.settings = make_settings(id, proxy.spec);
  struct Turn {
    std::vector<std::shared_ptr<event::EventRing>> rings;  // by worker
    bool sees;
    bool tells_open;
  };
  std::vector<Turn> turns;  // of observers that see it from now on, or no more
  for (std::size_t i = 0; i < observers_.size(); ++i) {
    const bool sees = observers_[i].sees(proxy.spec);
    if (sees != saw[i]) turns.push_back({observers_[i].thread->rings(), sees, observers_[i].tells_open});
  }
  tell_workers([id, settings = proxy.settings, turns = std::move(turns)](WorkerThread& each) {
    auto* on_worker = each.worker->find_proxy(index_of(id));
    if (on_worker == nullptr) return;
    each.worker->set_settings(*on_worker, settings);
    for (const Turn& turn : turns) {
      event::EventRing& ring = *turn.rings[each.worker->number()];
      turn.sees ? each.worker->observe(*on_worker, ring, turn.tells_open)
                : each.worker->observe_no_more(*on_worker, ring);
    }
  });
}

void Engine::remove_proxy(ProxyId id) {
  close_proxy(id, "its proxy was removed");
  tell_workers([id](WorkerThread& each) { each.worker->remove_proxy(index_of(id)); });
  closed_ = changes_;
  std::erase_if(removed_, [](const auto& shared) { return shared->places.load() == 0; });
  removed_.push_back(std::move(proxy_of(id).shared));
  proxies_.erase(id);
}

void Engine::set_faults(ProxyId proxy, const std::shared_ptr<const fault::FaultList>& list) {
  const auto& state = proxy_of(proxy).faults;
  state->expect(list);
  // The last loop forgets what is gone: until it has taken the list, a session may begin under the one before.
  const auto left = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  tell_workers([proxy, list, state, left](WorkerThread& each) {
    if (auto* on_worker = each.worker->find_proxy(index_of(proxy))) each.worker->set_faults(*on_worker, list);
    if (left->fetch_sub(1, std::memory_order_acq_rel) == 1) state->forget_the_gone();
  });
}

auto Engine::faults(ProxyId proxy) const -> const fault::ProxyFaults& { return *proxies_.at(proxy).faults; }

}  // namespace weir::engine
