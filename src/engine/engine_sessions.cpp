// What the loops of a running engine know: their sessions, and what passed through the proxies. See engine.h.
#include <algorithm>

#include "engine/engine.h"
#include "engine/worker_thread.h"

namespace weir::engine {
namespace {

auto info_of(const proxy::Session& session, MonoTime now) -> SessionInfo {
  SessionInfo info{.handle = session.handle(),
                   .proxy = session.proxy().settings->id,
                   .number = session.number(),
                   .client = session.client_address(),
                   .upstream = std::nullopt,
                   .phase = session.phase(),
                   .age = now - session.accepted(),
                   .totals = session.relay().totals(),
                   .faults = session.fault_names()};
  if (info.phase >= proxy::SessionPhase::connecting) info.upstream = session.upstream_address();
  return info;
}

}  // namespace

// Each loop lists as many as may be asked for in all, for none knows of the others.
void Engine::sessions(const Asker& asker, std::optional<ProxyId> proxy, std::size_t most,
                      std::function<void(SessionList)> then) {
  ask_workers<SessionList>(
      asker,
      [proxy, most](WorkerThread& each) {
        SessionList own;
        each.worker->each_session([&](const proxy::Session& session) {
          if (proxy && *proxy != session.proxy().settings->id) return;
          if (own.sessions.size() >= most) {
            ++own.left_out;
          } else {
            own.sessions.push_back(info_of(session, each.loop->now()));
          }
        });
        return own;
      },
      [most, then = std::move(then)](Answers<SessionList> answers) {
        SessionList list;
        list.partial = answers.partial;
        for (auto& own : answers.each) {
          if (!own) continue;
          list.left_out += own->left_out;
          std::ranges::move(own->sessions, std::back_inserter(list.sessions));
        }
        std::ranges::sort(list.sessions, [](const SessionInfo& a, const SessionInfo& b) {
          return std::pair(a.proxy, a.number) < std::pair(b.proxy, b.number);
        });
        if (list.sessions.size() > most) {
          list.left_out += list.sessions.size() - most;
          list.sessions.resize(most);
        }
        then(std::move(list));
      });
}

void Engine::close_session(const Asker& asker, ProxyId proxy, SessionNumber number, const std::string& why,
                           std::function<void(SessionEnd)> then) {
  ask_workers<bool>(
      asker,
      [proxy, number, why](WorkerThread& each) {
        bool found = false;
        each.worker->each_session([&](proxy::Session& session) {
          if (session.proxy().settings->id != proxy || session.number() != number) return;
          found = true;
          session.close(why);
        });
        return found;
      },
      [then = std::move(then)](const Answers<bool>& answers) {
        const bool found = std::ranges::any_of(answers.each, [](const auto& own) { return own.value_or(false); });
        then(found ? SessionEnd::closing : answers.partial ? SessionEnd::late : SessionEnd::unknown);
      });
}

void Engine::traffic(const Asker& asker, std::function<void(Traffic)> then) {
  std::vector<ProxyId> ids;
  ids.reserve(proxies_.size());
  for (const auto& [id, proxy] : proxies_) ids.push_back(id);
  using Counters = std::map<ProxyId, proxy::ProxyCounters>;
  ask_workers<Counters>(
      asker,
      [ids = std::move(ids)](WorkerThread& each) {
        Counters own;
        for (const ProxyId id : ids) {
          const auto* on_worker = each.worker->find_proxy(static_cast<std::size_t>(id));
          if (on_worker != nullptr && on_worker->counters.sessions > 0) own.emplace(id, on_worker->counters);
        }
        each.worker->each_session([&own](const proxy::Session& session) {
          const auto found = own.find(session.proxy().settings->id);
          if (found != own.end()) found->second.add(session.relay().totals());
        });
        return own;
      },
      [this, began = clock_.mono(), then = std::move(then)](const Answers<Counters>& answers) {
        Traffic all{.proxies = {}, .partial = answers.partial, .took = clock_.mono() - began};
        for (const auto& [id, proxy] : proxies_) {
          ProxyTraffic& traffic = all.proxies[id];
          traffic.live = proxy.shared->live.load();
          traffic.peak = proxy.shared->peak.load();
          traffic.refused_accepts = proxy.shared->refused_accepts.load();
        }
        for (const auto& own : answers.each) {
          if (!own) continue;
          for (const auto& [id, counters] : *own) {
            if (const auto found = all.proxies.find(id); found != all.proxies.end()) {
              found->second.counters.merge(counters);
            }
          }
        }
        then(std::move(all));
      });
}

void Engine::loop_lag(const Asker& asker, std::function<void(Nanos)> then) {
  ask_workers<std::monostate>(
      asker, [](WorkerThread&) { return std::monostate(); },
      [this, patience = asker.patience, began = clock_.mono(), then = std::move(then)](const auto& answers) {
        const Nanos lag = clock_.mono() - began;
        // The patience counts from the beginning of the turn, which is a little earlier.
        then(answers.partial ? std::max<Nanos>(lag, patience) : lag);
      });
}

}  // namespace weir::engine
