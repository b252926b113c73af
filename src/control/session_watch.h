// Carries what sessions do from the observer's thread to the event log on the control thread.
#pragma once

#include "control/event_log.h"
#include "control/registry.h"
#include "event/event.h"
#include "net/event_loop.h"

namespace weir::control {

// An observer of lifecycle events. Runs on its observer thread; posts batches to the control loop, where
// `deliver` gets them. Both must outlive the engine's observers.
class SessionWatch final : public event::Observer {
 public:
  struct Item {
    ProxyId proxy{};
    std::string type;
    Json data;  // without the proxy's name, which the control thread knows
  };
  static constexpr std::size_t most_sessions_named = 100;
  using Deliver = std::function<void(std::vector<Item>&&)>;
  SessionWatch(net::EventLoop& control, Deliver deliver) : control_(control), deliver_(std::move(deliver)) {}

  void on_event(const event::Event& event, Nanos wall_offset) override;
  auto flush() -> bool override;

 private:
  net::EventLoop& control_;
  Deliver deliver_;
  void add_began(const event::FaultBegan& began, const event::Event& event, Nanos wall_offset);
  std::vector<Item> batch_;
  // Where in the batch the sessions of a fault are gathered: a fault that is added to thousands of sessions is
  // one event, not thousands.
  std::map<std::pair<ProxyId, std::string>, std::size_t> began_;
};

}  // namespace weir::control
