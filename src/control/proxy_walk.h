#pragma once

#include <optional>
#include <string>

#include "control/registry.h"

namespace weir::control {

// Goes through all proxies by name, in as many turns of the loop as it takes. Proxies may come and go meanwhile: each
// is met once or not at all, and those that are there all the time are met. The control thread only.
class ProxyWalk {
 public:
  explicit ProxyWalk(const Registry& registry) : registry_(&registry) {}
  // Null: there is none any more. The entry is as it is now, and stays where it is until the next turn.
  [[nodiscard]] auto next() -> const ProxyEntry* {
    const auto& all = registry_->all();
    const auto found = at_ ? all.upper_bound(*at_) : all.begin();
    if (found == all.end()) return nullptr;
    at_ = found->first;
    return &found->second;
  }
  void restart() { at_.reset(); }

 private:
  const Registry* registry_;
  std::optional<std::string> at_;  // the last one's name
};

}  // namespace weir::control
