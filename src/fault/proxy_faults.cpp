#include "fault/proxy_faults.h"

namespace weir::fault {
namespace {

// The parts of a key that say whose draws they are; see ProxyFaults.
constexpr std::uint64_t lots = 1;
constexpr std::uint64_t stages = 2;

}  // namespace

auto ProxyFaults::lot(const FaultSpec& spec, SessionNumber session, const Address& client) const -> double {
  RandomKey key(seed_);
  key.with(lots).with(proxy_).with(spec.name);
  switch (spec.scope) {
    case FaultScope::session: key.with(static_cast<std::uint64_t>(session)); break;
    case FaultScope::client: key.with(client.host_string()); break;
    case FaultScope::proxy: break;
  }
  return Draws(key.value()).uniform(0);
}

auto ProxyFaults::applies(const FaultSpec& spec, SessionNumber session, const Address& client) const -> bool {
  if (spec.match && !spec.match->matches(client)) return false;
  return lot(spec, session, client) < spec.probability;
}

auto ProxyFaults::draws(const FaultSpec& spec, SessionNumber session, Direction direction) const -> Draws {
  RandomKey key(seed_);
  key.with(stages).with(proxy_).with(static_cast<std::uint64_t>(session)).with(index(direction)).with(spec.name);
  return Draws(key.value());
}

auto ProxyFaults::shared_state(const FaultSpec& spec, const Address& client) -> std::shared_ptr<SharedState> {
  const std::lock_guard lock(mutex_);
  if (states_.size() >= clients_remembered) {
    std::erase_if(states_, [](const auto& each) { return each.second.use_count() == 1; });
  }
  auto& state = states_[{spec.name, spec.scope == FaultScope::client ? client.host_string() : std::string()}];
  if (!state) state = std::make_shared<SharedState>();
  return state;
}

auto ProxyFaults::counters(const FaultSpec& spec) -> std::shared_ptr<FaultCounters> {
  const std::lock_guard lock(mutex_);
  auto& counters = counters_[spec.name];
  if (!counters) counters = std::make_shared<FaultCounters>();
  return counters;
}

auto ProxyFaults::sessions(std::string_view fault) const -> std::uint64_t {
  const std::lock_guard lock(mutex_);
  const auto found = counters_.find(fault);
  return found == counters_.end() ? 0 : found->second->sessions.load(std::memory_order_relaxed);
}

auto ProxyFaults::counts() const -> std::vector<Count> {
  const std::lock_guard lock(mutex_);
  std::vector<Count> all;
  for (const auto& [name, counters] : counters_) {
    all.push_back({name, counters->sessions.load(std::memory_order_relaxed),
                   counters->bytes_dropped.load(std::memory_order_relaxed)});
  }
  return all;
}

void ProxyFaults::expect(std::shared_ptr<const FaultList> list) {
  const std::lock_guard lock(mutex_);
  newest_ = std::move(list);
}

void ProxyFaults::forget_the_gone() {
  const std::lock_guard lock(mutex_);
  const FaultList& list = *newest_;
  std::erase_if(states_, [&](const auto& each) { return list.find(each.first.first) == nullptr; });
  std::size_t gone = 0;
  std::erase_if(counters_, [&](const auto& each) {
    return list.find(each.first) == nullptr && ++gone > gone_counted && each.second.use_count() == 1;
  });
}

}  // namespace weir::fault
