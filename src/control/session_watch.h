// Carries what sessions do from the observer's thread to the event log on the control thread.
#pragma once

#include <atomic>
#include <memory>

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
    Json data;                        // without the proxy's name, which the control thread knows
    bool upstream_unreached = false;  // it ended as its upstream could not be reached
  };
  static constexpr std::size_t most_sessions_named = 100;
  using Deliver = std::function<void(std::vector<Item>&&)>;
  SessionWatch(net::EventLoop& control, Deliver deliver) : control_(control), deliver_(std::move(deliver)) {}
  // What may wait for the control thread; what comes beyond it is counted as missed and told as such.
  static constexpr std::size_t most_waiting = 16'384;

  void on_event(const event::Event& event, Nanos wall_offset) override;
  auto flush() -> bool override;

 private:
  struct Backlog {
    std::atomic<std::size_t> waiting{0};
    std::atomic<std::uint64_t> missed{0};
    std::atomic<bool> report_is_due{false};
  };

  void miss_batch();
  net::EventLoop& control_;
  Deliver deliver_;
  std::shared_ptr<Backlog> backlog_ = std::make_shared<Backlog>();
  void add_began(const event::FaultBegan& began, const event::Event& event, Nanos wall_offset);
  std::vector<Item> batch_;
  // Where in the batch the sessions of a fault are gathered: a fault that is added to thousands of sessions is
  // one event, not thousands.
  std::map<std::pair<ProxyId, std::string>, std::size_t> began_;
};

}  // namespace weir::control
