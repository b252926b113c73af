// Events in the order in which they happened, each told when it is true.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "control/event_log.h"
#include "control/json.h"
#include "engine/engine.h"

namespace weir::control {

// Who follows the events may rely on them as on an answer: a change is told when every worker has taken it, and before
// the answer to it. What sessions do waits behind the changes that came before, so that no session is opened in a proxy
// that nobody has heard of. The control thread only; all that it is given outlives it.
class OrderedEvents {
 public:
  OrderedEvents(EventLog& events, engine::Engine& engine, net::EventLoop& loop)
      : events_(events), engine_(engine), loop_(loop) {}
  OrderedEvents(const OrderedEvents&) = delete;
  auto operator=(const OrderedEvents&) -> OrderedEvents& = delete;

  // Before that, nobody listens, and changes are told at once.
  void begin();
  // `log` is called when it is told.
  void add_change(std::string type, Json data, std::function<void()> log);
  void add_session_event(std::string type, Json data);
  // Session events were lost before they came here.
  void add_missed(std::uint64_t events);

  // Session events that wait for a change that a late loop has not taken; what comes beyond it is counted as missed.
  static constexpr std::size_t most_waiting = 16'384;

 private:
  struct Untold {
    std::uint64_t change = 0;  // the engine's last one then
    std::string type;
    Json data;
    std::function<void()> log{};
  };
  void tell();

  EventLog& events_;
  engine::Engine& engine_;
  net::EventLoop& loop_;
  std::deque<Untold> untold_;
  bool settling_ = false;  // somebody waits for what is untold
  bool has_begun_ = false;
};

}  // namespace weir::control
