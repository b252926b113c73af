#include "control/bulk_changes.h"

namespace weir::control {

auto paced_by(engine::Engine& engine, net::EventLoop& loop) -> Turns::Pace {
  return [&engine, &loop](std::function<void()> go_on) {
    constexpr std::chrono::milliseconds patience{50};
    engine.loop_lag({loop, patience}, [go_on = std::move(go_on)](Nanos) { go_on(); });
  };
}

auto Reset::step() -> bool {
  const ProxyEntry* entry = walk_.next();
  if (entry == nullptr) return false;
  if (auto done = registry_.reset(entry->name); !done) outcome_ = std::move(done);
  return true;
}

auto LeaseEnding::step() -> bool {
  if (const ProxyEntry* entry = walk_.next()) {
    if (entry->mark.lease == lease_) {
      own_.push_back(entry->name);
      return true;
    }
    registry_.take_back(entry->name, lease_, end_);
    return true;
  }
  if (own_.empty()) return false;
  // Another may have taken the name since.
  if (const ProxyEntry* entry = registry_.find(own_.back()); entry != nullptr && entry->mark.lease == lease_) {
    registry_.remove(own_.back());
    ++end_.proxies;
  }
  own_.pop_back();
  return true;
}

}  // namespace weir::control
