// Proxies of a running engine: they come, change and go. See engine.h.
#include <unistd.h>

#include <algorithm>
#include <mutex>

#include "engine/engine.h"
#include "engine/listeners.h"
#include "engine/worker_thread.h"
#include "proxy/acceptor.h"

namespace weir::engine {
namespace {

constexpr auto index_of(ProxyId id) -> std::size_t { return static_cast<std::size_t>(id); }

}  // namespace

auto Engine::proxy_of(ProxyId id) -> Proxy& { return proxies_.at(id); }

auto Engine::make_settings(ProxyId id, const ProxySpec& spec) const -> std::shared_ptr<const proxy::ProxySettings> {
  auto settings = std::make_shared<proxy::ProxySettings>();
  settings->id = id;
  settings->name = spec.name;
  settings->rules = spec.rules;
  const auto named = std::ranges::find(handshakes_, spec.handshake, &proxy::HandshakeInfo::name);
  if (named != handshakes_.end()) settings->make_handshake = named->make;
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
    if (!observing.wants || observing.wants(spec.name)) rings.push_back(observing.thread->rings());
  }
  const auto fault_state = std::make_shared<fault::ProxyFaults>(seed_, spec.name);
  const auto faults = spec.faults ? spec.faults : std::make_shared<const fault::FaultList>();
  (void)tell_workers([settings, shared, peers, rings, fault_state, faults, budget = &fault_budget_,
                      network_namespace = spec.network_namespace](WorkerThread& each) {
    auto added = std::make_unique<proxy::ProxyOnWorker>();
    added->settings = settings;
    added->shared = shared;
    added->sockets = std::make_unique<net::KernelSockets>(network_namespace);
    added->peers = peers;
    added->index = index_of(settings->id);
    for (const auto& of_observer : rings) added->observers.add(*of_observer[each.worker->number()]);
    added->faults = faults;
    added->fault_state = fault_state;
    added->fault_budget = budget;
    added->open = false;
    each.worker->add_proxy(std::move(added));
  });
  proxies_.emplace(id, Proxy{std::move(spec), settings, std::move(shared), fault_state, {}, false});
  return id;
}

auto Engine::bind(ProxyId id, const proxy::ProxyRules& rules) -> Result<Listeners> {
  return make_listeners(rules.listen, proxy_of(id).spec.network_namespace, rules.stream_options());
}

auto Engine::open_proxy(ProxyId id) -> Result<ListenAddress> {
  Proxy& proxy = proxy_of(id);
  if (!proxy.spec.handshake.empty() && !proxy.settings->make_handshake) {
    return failure(fmt::format("there is no handshake \"{}\"", proxy.spec.handshake));
  }
  // A given socket is the acceptors' alone, so that it closes with the last of them; it opens once.
  if (proxy.spec.given_listener) {
    Listeners given;
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
  Proxy& proxy = proxy_of(id);
  auto problem = std::make_shared<std::pair<std::mutex, std::optional<Error>>>();
  (void)tell_workers([id, sockets = std::move(listeners.sockets), problem](WorkerThread& each) {
    proxy::ProxyOnWorker* on_worker = each.worker->find_proxy(index_of(id));
    if (on_worker == nullptr) return;
    on_worker->open = true;
    for (const auto& socket : sockets) {
      auto acceptor = std::make_unique<proxy::Acceptor>(*each.worker, *on_worker, socket);
      if (auto started = acceptor->start(); started) {
        on_worker->acceptors.push_back(std::move(acceptor));
      } else {
        const std::lock_guard lock(problem->first);
        problem->second = started.error();
      }
    }
  });
  proxy.unix_paths = std::move(listeners.unix_paths);
  proxy.open = true;
  const std::lock_guard lock(problem->first);
  if (problem->second) {
    close_proxy(id, "it could not be opened");
    return tl::make_unexpected(*problem->second);
  }
  return std::move(listeners.where);
}

auto Engine::close_proxy(ProxyId id, const std::string& why) -> bool {
  Proxy& proxy = proxy_of(id);
  if (!proxy.open) return true;
  proxy.open = false;
  for (const auto& path : proxy.unix_paths) ::unlink(path.c_str());
  proxy.unix_paths.clear();
  // First no worker accepts or hands over any more. What was handed over before that stands in the loops'
  // queues in front of the second task, which therefore meets every session.
  const bool deaf = tell_workers([id](WorkerThread& each) {
    if (auto* on_worker = each.worker->find_proxy(index_of(id))) on_worker->acceptors.clear();
  });
  const bool ended = tell_workers([id, why](WorkerThread& each) {
    auto* on_worker = each.worker->find_proxy(index_of(id));
    if (on_worker == nullptr) return;
    on_worker->open = false;
    each.worker->close_sessions(*on_worker, why);
  });
  return deaf && ended;
}

auto Engine::set_rules(ProxyId id, proxy::ProxyRules rules) -> bool {
  Proxy& proxy = proxy_of(id);
  proxy.spec.rules = std::move(rules);
  proxy.settings = make_settings(id, proxy.spec);
  return tell_workers([id, settings = proxy.settings](WorkerThread& each) {
    if (auto* on_worker = each.worker->find_proxy(index_of(id))) each.worker->set_settings(*on_worker, settings);
  });
}

void Engine::remove_proxy(ProxyId id) {
  (void)close_proxy(id, "its proxy was removed");
  (void)tell_workers([id](WorkerThread& each) { each.worker->remove_proxy(index_of(id)); });
  proxies_.erase(id);
}

auto Engine::set_faults(ProxyId proxy, const std::shared_ptr<const fault::FaultList>& list,
                        std::chrono::milliseconds patience) -> bool {
  const bool all = tell_workers(
      [proxy, list](WorkerThread& each) {
        if (auto* on_worker = each.worker->find_proxy(index_of(proxy))) each.worker->set_faults(*on_worker, list);
      },
      patience);
  proxy_of(proxy).faults->forget_all_but(*list);
  return all;
}

auto Engine::faults(ProxyId proxy) const -> const fault::ProxyFaults& { return *proxies_.at(proxy).faults; }

auto Engine::sessions(std::optional<ProxyId> proxy, std::size_t most, std::chrono::milliseconds patience)
    -> SessionList {
  SessionList list;
  list.partial = !each_worker(
      [&](WorkerThread& each) {
        each.worker->each_session([&](const proxy::Session& session) {
          const ProxyId id = session.proxy().settings->id;
          if (proxy && *proxy != id) return;
          if (list.sessions.size() >= most) {
            ++list.left_out;
            return;
          }
          SessionInfo info{.handle = session.handle(),
                           .proxy = id,
                           .number = session.number(),
                           .client = session.client_address(),
                           .upstream = std::nullopt,
                           .phase = session.phase(),
                           .age = each.loop->now() - session.accepted(),
                           .totals = session.relay().totals(),
                           .faults = session.fault_names()};
          if (info.phase >= proxy::SessionPhase::connecting) info.upstream = session.upstream_address();
          list.sessions.push_back(std::move(info));
        });
      },
      patience);
  std::ranges::sort(list.sessions, [](const SessionInfo& a, const SessionInfo& b) {
    return std::pair(a.proxy, a.number) < std::pair(b.proxy, b.number);
  });
  return list;
}

auto Engine::close_session(ProxyId proxy, SessionNumber number, const std::string& why) -> bool {
  auto found = std::make_shared<std::atomic<bool>>(false);
  (void)tell_workers([proxy, number, why, found](WorkerThread& each) {
    each.worker->each_session([&](proxy::Session& session) {
      if (session.proxy().settings->id != proxy || session.number() != number) return;
      found->store(true);
      session.close(why);
    });
  });
  return found->load();
}

auto Engine::traffic(std::chrono::milliseconds patience) -> std::map<ProxyId, ProxyTraffic> {
  std::map<ProxyId, ProxyTraffic> all;
  for (const auto& [id, proxy] : proxies_) {
    ProxyTraffic& traffic = all[id];
    traffic.live = proxy.shared->live.load();
    traffic.peak = proxy.shared->peak.load();
    traffic.refused_accepts = proxy.shared->refused_accepts.load();
  }
  (void)each_worker(
      [&all](WorkerThread& each) {
        for (auto& [id, traffic] : all) {
          if (auto* on_worker = each.worker->find_proxy(index_of(id))) traffic.counters.merge(on_worker->counters);
        }
        each.worker->each_session([&all](const proxy::Session& session) {
          const auto found = all.find(session.proxy().settings->id);
          if (found != all.end()) found->second.counters.add(session.relay().totals());
        });
      },
      patience);
  return all;
}

auto Engine::loop_lag(std::chrono::milliseconds patience) -> Nanos {
  const MonoTime begin = clock_.mono();
  (void)each_worker([](WorkerThread&) {}, patience);
  return clock_.mono() - begin;
}

}  // namespace weir::engine
