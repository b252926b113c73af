// Changes of all proxies at once, in steps of one proxy each, for control/turns.h: what is asked for meanwhile of one
// proxy comes before or after this proxy's step. Begun, each step is done with the proxies that are there then.
#pragma once

#include <string>
#include <vector>

#include "control/proxy_walk.h"
#include "control/registry.h"
#include "control/turns.h"

namespace weir::control {

// For the Turns of changes: one turn's share is taken by the workers' loops before the next is begun. Else thousands of
// changes would wait in their queues, and the sessions behind them. A loop that hangs is not waited for long.
[[nodiscard]] auto paced_by(engine::Engine& engine, net::EventLoop& loop) -> Turns::Pace;

// Starts every disabled proxy and removes all faults.
class Reset {
 public:
  explicit Reset(Registry& registry) : registry_(registry), walk_(registry) {}
  // False: it is done.
  [[nodiscard]] auto step() -> bool;
  // Once it is done: why the last one that cannot listen cannot; the others are done.
  [[nodiscard]] auto outcome() const -> const Outcome<void>& { return outcome_; }

 private:
  Registry& registry_;
  ProxyWalk walk_;
  Outcome<void> outcome_;
};

// Takes back everything that carries a lease, under which nothing is made any more: its faults and holds on others'
// proxies, then its proxies.
class LeaseEnding {
 public:
  LeaseEnding(Registry& registry, std::string lease) : registry_(registry), lease_(std::move(lease)), walk_(registry) {}
  // False: it is done.
  [[nodiscard]] auto step() -> bool;
  // Once it is done.
  [[nodiscard]] auto end() const -> const LeaseEnd& { return end_; }

 private:
  Registry& registry_;
  std::string lease_;
  ProxyWalk walk_;
  std::vector<std::string> own_;  // proxies, still to be removed
  LeaseEnd end_;
};

}  // namespace weir::control
