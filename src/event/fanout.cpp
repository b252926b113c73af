#include "event/fanout.h"

#include <algorithm>
#include <bit>

namespace weir::event {
namespace {

auto direction_of(const What& what) -> std::optional<Direction> {
  if (const auto* read = std::get_if<ChunkRead>(&what)) return read->direction;
  if (const auto* written = std::get_if<ChunkWritten>(&what)) return written->direction;
  if (const auto* sent = std::get_if<Sent>(&what)) return sent->direction;
  if (const auto* acknowledged = std::get_if<Acknowledged>(&what)) return acknowledged->direction;
  return std::nullopt;
}

constexpr EventMask directed_kinds = EventKind::chunk_read | EventKind::chunk_written | EventKind::sent |
                                     EventKind::acknowledged | EventKind::receive_times | EventKind::chunk_bytes;

constexpr auto place_bit(std::size_t place) -> Fanout::Places { return Fanout::Places{1} << place; }

}  // namespace

auto Fanout::add(EventRing& ring) -> bool {
  const auto place = static_cast<std::size_t>(std::countr_one(taken_));
  if (place >= most_rings) return false;
  rings_[place] = &ring;
  taken_ |= place_bit(place);
  return true;
}

void Fanout::remove(const EventRing& ring) {
  for (std::size_t place = 0; place < most_rings; ++place) {
    if (rings_[place] != &ring) continue;
    rings_[place] = nullptr;
    taken_ &= ~place_bit(place);
  }
}

auto Fanout::has(const EventRing& ring) const -> bool { return std::ranges::find(rings_, &ring) != rings_.end(); }

auto Fanout::places_of(const EventRing& ring) const -> Places {
  const auto found = std::ranges::find(rings_, &ring);
  return found == rings_.end() ? 0 : place_bit(static_cast<std::size_t>(found - rings_.begin()));
}

auto Fanout::refusing_sessions() const -> Places {
  Places refusing = 0;
  for (Places left = taken_; left != 0; left &= left - 1) {
    const auto place = static_cast<std::size_t>(std::countr_zero(left));
    if (!rings_[place]->accepts_sessions()) refusing |= place_bit(place);
  }
  return refusing;
}

void Fanout::count_held_up(HeldUp::Who who, Places before, Places by, MonoTime now) const {
  for (Places left = (before ^ by) & taken_; left != 0; left &= left - 1) {
    const auto place = static_cast<std::size_t>(std::countr_zero(left));
    HeldUp& held_up = rings_[place]->held_up();
    (by & place_bit(place)) != 0 ? held_up.begins(who, now) : held_up.ends(who, now);
  }
}

template <class Visit>
void SessionEvents::each_ring(Visit visit) const {
  for (std::uint32_t left = rings_; left != 0; left &= left - 1) {
    visit(*fanout_->rings_[static_cast<std::size_t>(std::countr_zero(left))]);
  }
}

void SessionEvents::select(const Address& client) {
  rings_ = 0;
  wanted_ = {};
  if (fanout_ == nullptr) return;
  for (std::uint32_t left = fanout_->taken_; left != 0; left &= left - 1) {
    const auto place = static_cast<std::size_t>(std::countr_zero(left));
    const EventRing& ring = *fanout_->rings_[place];
    if (!ring.filter().matches(session_, client)) continue;  // mutant: filter-of-clients-not-asked
    rings_ |= place_bit(place);
    for (const Direction direction : {Direction::upstream, Direction::downstream}) {
      wanted_[index(direction)] |= ring.follows(direction) ? ring.mask() : ring.mask() & ~directed_kinds;
    }
  }
}

auto SessionEvents::reserve(Direction direction, std::size_t events, std::size_t bytes) const -> bool {
  // All are asked: each that has no room is to be blamed, and calls when it has some.
  bool is_room = true;
  for (Fanout::Places left = rings_; left != 0; left &= left - 1) {
    const auto place = static_cast<std::size_t>(std::countr_zero(left));
    EventRing& ring = *fanout_->rings_[place];
    const bool chunks = ring.wants(EventKind::chunk_read, direction) || ring.wants(EventKind::chunk_written, direction);
    if (!chunks || ring.reserve(events, bytes)) continue;
    fanout_->refusers_ |= place_bit(place);
    is_room = false;
  }
  return is_room;
}

void SessionEvents::push(MonoTime time, EventKind kind, What what) const {
  const auto direction = direction_of(what);
  Event event{time, proxy_, session_, std::move(what)};
  EventRing* last = nullptr;  // takes the event itself; those before it a copy
  each_ring([&](EventRing& ring) {
    if (!(direction ? ring.wants(kind, *direction) : ring.wants(kind))) return;
    if (last != nullptr) last->push(event, kind);
    last = &ring;
  });
  if (last != nullptr) last->push(std::move(event), kind);
}

void SessionEvents::lose(MonoTime time, EventKind kind) const {
  each_ring([&](EventRing& ring) {
    if (ring.wants(kind)) ring.lose(time, proxy_, session_);
  });
}

auto SessionEvents::is_wanted_by(const EventRing& ring) const -> bool {
  bool wanted = false;
  each_ring([&](const EventRing& each) { wanted |= &each == &ring; });
  return wanted;
}

void SessionEvents::push_to(EventRing& ring, MonoTime time, EventKind kind, What what) const {
  if (is_wanted_by(ring) && ring.wants(kind)) ring.push(Event{time, proxy_, session_, std::move(what)}, kind);
}

}  // namespace weir::event
