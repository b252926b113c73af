// From one session to the rings of those who observe it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "event/ring.h"

namespace weir::event {

// The rings of one (worker, proxy), each in a place of its own that it keeps. Loop thread only.
class Fanout {
 public:
  // As many may observe one proxy at a time.
  static constexpr std::size_t most_rings = 32;

  // False: all places are taken. Sessions that live already see it after SessionEvents::select().
  auto add(EventRing& ring) -> bool;
  // Every session of the proxy selects anew before the next event.
  void remove(const EventRing& ring);
  [[nodiscard]] auto empty() const -> bool { return taken_ == 0; }
  [[nodiscard]] auto has(const EventRing& ring) const -> bool;
  [[nodiscard]] auto accepts_sessions() const -> bool { return refusing_sessions() == 0; }

  // Which rings hold something up, as a set of their places, by bit.
  using Places = std::uint32_t;
  // Those that have no room for more sessions.
  [[nodiscard]] auto refusing_sessions() const -> Places;
  // Those that had no room for a session since the last call; see SessionEvents::reserve.
  [[nodiscard]] auto take_refusers() -> Places { return std::exchange(refusers_, 0); }
  // The ring's, or none.
  [[nodiscard]] auto places_of(const EventRing& ring) const -> Places;
  // Has the rings count that somebody waits for those of `by` from now on, where it was those of `before`.
  void count_held_up(HeldUp::Who who, Places before, Places by, MonoTime now) const;

 private:
  friend class SessionEvents;
  std::array<EventRing*, most_rings> rings_{};
  Places taken_ = 0;
  Places refusers_ = 0;
};

// What one session tells, and to whom: the rings that want it, and the union of what they want, so that an event
// nobody wants costs one branch. It lives in its session, on the loop's thread.
class SessionEvents {
 public:
  SessionEvents() = default;  // tells nobody anything
  SessionEvents(Fanout* fanout, ProxyId proxy, SessionNumber session)
      : fanout_(fanout), session_(session), proxy_(proxy) {}

  // Finds out who wants this session: at its start, and when rings have come or gone or its client's address is
  // another.
  void select(const Address& client);

  [[nodiscard]] auto proxy() const -> ProxyId { return proxy_; }
  [[nodiscard]] auto session() const -> SessionNumber { return session_; }
  [[nodiscard]] auto wants(EventKind kind) const -> bool { return contains(wanted_[0] | wanted_[1], kind); }
  // An event that has a direction: chunk_read, chunk_written, sent, acknowledged; and receive_times and chunk_bytes.
  [[nodiscard]] auto wants(EventKind kind, Direction direction) const -> bool {
    return contains(wanted_[index(direction)], kind);
  }
  // Room in every ring that wants chunks of this direction; see EventRing::reserve. The rings that have none are noted
  // in the fanout.
  [[nodiscard]] auto reserve(Direction direction, std::size_t events, std::size_t bytes) const -> bool;
  // Only if wants() says so.
  void push(MonoTime time, EventKind kind, What what) const;

  // Instead of push(), where there was no memory to make the event: those who want it see a gap.
  void lose(MonoTime time, EventKind kind) const;

  // To this ring alone, if it wants the session: what the session would have told it before it came.
  void push_to(EventRing& ring, MonoTime time, EventKind kind, What what) const;
  [[nodiscard]] auto is_wanted_by(const EventRing& ring) const -> bool;

 private:
  template <class Visit>
  void each_ring(Visit visit) const;

  Fanout* fanout_ = nullptr;
  SessionNumber session_{};
  Fanout::Places rings_ = 0;
  ProxyId proxy_{};
  std::array<EventMask, 2> wanted_{};  // by Direction; a kind that has none stands in both
};

}  // namespace weir::event
