#include "control/ordered_events.h"

#include <utility>

#include "base/out_of_memory.h"

#include "control/registry.h"

namespace weir::control {

void OrderedEvents::begin() {
  has_begun_ = true;
  engine_.set_on_settled([this] { tell(); });
}

void OrderedEvents::add_change(std::string type, Json data, std::function<void()> log) {
  untold_.push_back({engine_.changes(), std::move(type), std::move(data), std::move(log)});
  tell();
}

// It happened under a change that all who wait before it tell of: nothing more is waited for.
void OrderedEvents::add_session_event(std::string type, Json data) {
  if (untold_.size() >= most_waiting) return add_missed(1);
  untold_.push_back({.type = std::move(type), .data = std::move(data)});
  tell();
}

void OrderedEvents::add_missed(std::uint64_t events) {
  events_.count_missed(events);
  if (!untold_.empty() && untold_.back().type == "sessions.missed") {
    Json& count = untold_.back().data["events"];
    count = count.get<std::uint64_t>() + events;
    return;
  }
  untold_.push_back({.type = "sessions.missed", .data = {{"events", events}}});
  tell();
}

void OrderedEvents::tell() {
  // mutant: event-before-its-cause
  while (!untold_.empty() && (!has_begun_ || untold_.front().change <= engine_.settled())) {
    const Untold told = std::move(untold_.front());
    untold_.pop_front();
    events_.add(told.type, told.data);
    if (told.log) told.log();
  }
  if (untold_.empty() || std::exchange(settling_, true)) return;
  const bool asked = contained([this] {
    engine_.settle({loop_, loop_patience}, [this](bool) {
      settling_ = false;
      tell();
    });
  });
  if (!asked) settling_ = false;  // the next event, or change, asks again
}

}  // namespace weir::control
