// When a diagnosis looks at peers' sockets: a few times in an exchange that is open and slow, and never often.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

#include "diagnose/peer_state.h"
#include "diagnose/session_timeline.h"
#include "event/session_key.h"

namespace weir::diagnose {

// How often all sessions together may look: 200 times a second, and of these at most half where nothing is slow yet.
class LookBudget {
 public:
  static constexpr std::int64_t per_second = 200;
  // May one look be made now? If not, it is counted as skipped.
  auto take(MonoTime now, bool is_urgent) -> bool;
  [[nodiscard]] auto made() const -> std::uint64_t { return made_; }
  [[nodiscard]] auto skipped() const -> std::uint64_t { return skipped_; }

 private:
  Nanos credit_ = std::chrono::seconds{1};
  std::optional<MonoTime> last_;
  std::uint64_t made_ = 0;
  std::uint64_t skipped_ = 0;
};

// The sessions that may have to be looked at, each at most once, by time.
class PeerWatch {
 public:
  void add(const event::SessionKey& session, MonoTime due) { waiting_.push({due, session}); }
  [[nodiscard]] auto next() const -> std::optional<MonoTime> {
    return waiting_.empty() ? std::nullopt : std::optional(waiting_.top().due);
  }
  // The next one whose time has come.
  auto take_due(MonoTime now) -> std::optional<event::SessionKey>;

 private:
  struct Waiting {
    MonoTime due;
    event::SessionKey session;
    auto operator<(const Waiting& other) const -> bool { return due > other.due; }  // the earliest is on top
  };
  std::priority_queue<Waiting> waiting_;
};

// The looks of one session.
class SessionLooks {
 public:
  static constexpr Nanos first_age = std::chrono::milliseconds{8};
  // From then on Weir's own end of a leg is looked at where the peer is on another host: two timers of 200 ms have run
  // out.
  static constexpr unsigned first_own_look = 6;
  static constexpr unsigned most_looks = 14;  // in one stretch, the last when it is 65 s old

  void on_legs(const event::LegsConnected& legs) { legs_ = legs.legs; }
  // The upstream at which a session that connects would be accepted, if that is known.
  void on_upstream(const Address& upstream) { upstream_ = upstream; }

  // When the session wants to be looked at next, which look() then does; none: nothing is slow, or nobody is here.
  [[nodiscard]] auto due(const SessionTimeline& timeline) const -> std::optional<MonoTime>;
  void look(SessionTimeline& timeline, MonoTime now, const PeerEyes& eyes, LookBudget& budget);

  // Whether it stands in the PeerWatch.
  bool is_waiting = false;

 private:
  auto look_at(LegName leg, MonoTime now, const PeerEyes& eyes, LookBudget& budget, bool is_urgent)
      -> std::optional<PeerLook>;
  auto look_at_own_end(LegName leg, MonoTime now, const PeerEyes& eyes, LookBudget& budget, bool is_urgent)
      -> std::optional<PeerLook>;
  [[nodiscard]] auto is_here(LegName leg, const PeerEyes& eyes) -> bool;

  std::optional<std::array<event::LegAddresses, 2>> legs_{};
  std::optional<Address> upstream_{};
  std::array<std::optional<bool>, 2> here_{};  // is the peer of the leg on this host? none: not asked yet
  MonoTime stretch_ = MonoTime::min();         // the begin of the one that was looked at last
  unsigned looks_ = 0;                         // at it
  bool is_enough_ = false;                     // of it
};

}  // namespace weir::diagnose
