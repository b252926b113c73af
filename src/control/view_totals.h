// What a view of running proxies has seen, for its closing line.
#pragma once

#include <optional>
#include <string>
#include <unordered_set>

#include "engine/engine.h"
#include "event/event.h"
#include "event/session_key.h"

namespace weir::control {

// Is told every event that the view is told, and sums up as engine::summary does for a whole engine. What a full ring
// kept from the view is in it as not shown. Memory: a set's node for each live session. One thread.
class ViewTotals {
 public:
  // Only what happens from `begin` on counts as connected now: sessions that are open already are told with an older
  // time. `only`: the view gets the bytes of this direction alone.
  ViewTotals(MonoTime begin, std::optional<Direction> only) : begin_(begin), only_(only) {}

  void on_event(const event::Event& event);
  // As engine::summary.
  [[nodiscard]] auto summary() const -> std::string;

 private:
  using Key = event::SessionKey;
  using KeyHash = event::SessionKeyHash;
  void see(const Key& key);

  MonoTime begin_;
  std::optional<Direction> only_;
  engine::Totals totals_;
  event::EventRing::Dropped not_shown_;
  std::unordered_set<Key, KeyHash> live_;
};

}  // namespace weir::control
