// Observers of a running engine: they come and go. See engine.h.
#include <algorithm>

#include "base/out_of_memory.h"
#include "engine/engine.h"
#include "engine/worker_thread.h"

namespace weir::engine {

auto Engine::proxies_for(const Observing& observing) const -> std::set<ProxyId> {
  std::set<ProxyId> wanted;
  for (const auto& [id, proxy] : proxies_) {
    if (observing.sees(proxy.spec)) wanted.insert(id);
  }
  return wanted;
}

auto Engine::attach(ObserverSpec spec) -> Result<ObserverId> {
  if (observers_.size() >= most_observers) {
    return failure(fmt::format("{} observers are there already; let one go first", most_observers));
  }
  if (spec.wants_rules && spec.ring.policy != event::FullPolicy::drop) {
    return failure("an observer that follows the rules of proxies must have policy drop");
  }
  Observing observing{
      .id = ObserverId{next_observer_++},
      .thread = std::make_unique<ObserverThread>(std::move(spec.observer), clock_, [this] { notify(); }),
      .wants = std::move(spec.wants),
      .wants_rules = std::move(spec.wants_rules),
      .tells_open = spec.tells_open,
      .name = std::move(spec.name),
      .reader = std::move(spec.reader),
      .way_out = std::move(spec.way_out)};
  if (!observing.thread->is_good()) return failure("there is no file descriptor left for an observer");
  observers_.reserve(observers_.size() + 1);
  leaving_.reserve(leaving_.size() + observers_.size() + 1);
  for (const auto& worker : workers_) {
    const auto& ring = observing.thread->add_ring(spec.ring);
    ring->set_on_room([loop = worker->loop.get()] { loop->nudge(); });  // the worker resumes what was parked
  }
  observing.removal = prepare_change([rings = observing.thread->rings()](WorkerThread& each) {
    each.worker->remove_ring(rings[each.worker->number()]);
  });
  if (auto started = observing.thread->start(); !started) return tl::make_unexpected(started.error());
  const auto proxies = std::make_shared<const std::set<ProxyId>>(proxies_for(observing));
  tell_workers([proxies, rings = observing.thread->rings(), tells_open = spec.tells_open](WorkerThread& each) {
    const auto wants = [&](const proxy::ProxyOnWorker& proxy) { return proxies->contains(proxy.settings->id); };
    each.worker->add_ring(rings[each.worker->number()], wants, tells_open);
  });
  observers_.push_back(std::move(observing));
  return observers_.back().id;
}

void Engine::detach(ObserverId id) {
  const auto found = std::ranges::find(observers_, id, &Observing::id);
  if (found == observers_.end()) return;
  if (running_) {
    make_change(std::move(found->removal));
  } else {
    for (auto& tasks : found->removal) (void)contained(tasks.front());
  }
  if (const ObserverHold hold = hold_of(*found); hold.waited > Nanos{0}) waited_for_gone_[hold.observer] += hold.waited;
  leaving_.push_back(std::move(found->thread));
  observers_.erase(found);
}

auto Engine::hold_of(const Observing& observing) const -> ObserverHold {
  ObserverHold hold{.observer = observing.name, .reader = observing.reader, .way_out = observing.way_out};
  const MonoTime now = clock_.mono();
  for (const auto& ring : observing.thread->rings()) {
    const auto figures = ring->held_up().figures(now);
    hold.sessions += figures.sessions;
    hold.listeners += figures.listeners;
    hold.longest = std::max(hold.longest, figures.since);
    hold.waited += figures.waited;
  }
  return hold;
}

auto Engine::observer_holds() const -> std::vector<ObserverHold> {
  std::vector<ObserverHold> holds;
  for (const auto& observing : observers_) {
    const bool may_hold = std::ranges::any_of(
        observing.thread->rings(), [](const auto& ring) { return ring->policy() == event::FullPolicy::block; });
    if (may_hold) holds.push_back(hold_of(observing));
  }
  return holds;
}

auto Engine::observer_lag() const -> ObserverLag {
  ObserverLag lag;
  for (const auto& observing : observers_) {
    for (const auto& ring : observing.thread->rings()) {
      const auto dropped = ring->dropped();
      lag.dropped.chunks += dropped.chunks;
      lag.dropped.bytes += dropped.bytes;
    }
  }
  for (const auto& worker : workers_) {
    const auto parked = worker->worker->parked();
    if (lag.held_up == 0) lag.first = parked.first;
    lag.held_up += parked.sessions;
  }
  return lag;
}

}  // namespace weir::engine
