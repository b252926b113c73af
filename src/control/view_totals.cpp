#include "control/view_totals.h"

#include <algorithm>

#include "engine/lifecycle.h"

namespace weir::control {

void ViewTotals::see(const Key& key) {
  if (!live_.insert(key).second) return;
  ++totals_.sessions;
  totals_.peak = std::max<std::uint64_t>(totals_.peak, live_.size());
}

void ViewTotals::on_event(const event::Event& event) {
  const Key key{event.proxy, event.session};
  if (const auto* chunk = std::get_if<event::ChunkRead>(&event.what)) {
    see(key);  // its opening may be among what was not shown
    totals_.bytes[index(chunk->direction)] += chunk->bytes.size();
  } else if (const auto* opened = std::get_if<std::shared_ptr<const event::SessionOpened>>(&event.what)) {
    see(key);
    if (event.time >= begin_) totals_.connect_times.add((*opened)->connect_time);
  } else if (const auto* closed = std::get_if<std::shared_ptr<const event::SessionClosed>>(&event.what)) {
    see(key);
    live_.erase(key);
    if (event::is_unreached((*closed)->cause)) ++totals_.connect_failures;
  } else if (const auto* gap = std::get_if<event::Gap>(&event.what)) {
    not_shown_.chunks += gap->chunks;
    not_shown_.bytes += gap->bytes;
    if (gap->events > 0) live_.clear();  // of the sessions whose end was missed nobody will tell any more
  }
}

auto ViewTotals::summary() const -> std::string { return engine::summary(totals_, not_shown_, only_); }

}  // namespace weir::control
