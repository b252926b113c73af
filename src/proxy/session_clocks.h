#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/ids.h"
#include "event/clock_rule.h"
#include "proxy/timeouts.h"

namespace weir::proxy {

// The clocks of a session that relays. They are told facts as they happen, and are asked when the next of
// them can run out and, at that time, which one has. How each clock runs stands in its row of the catalog
// (event/timeout_catalog.h), so that a new clock is a row and, if it needs facts that nobody tells yet,
// these. Nothing is re-armed while bytes move: a fact stores its time, and deadlines are worked out when
// asked for. The values of the timeouts are given with each call, so they may change at any time.
//
// Sans-io; on the worker's thread; lives in its Relay.
class SessionClocks {
 public:
  // Both legs are connected.
  void connected(MonoTime accepted, MonoTime now);
  // Bytes came from a leg before it was connected to the other: they are its first ones.
  void prefilled(LegName from) { facts_.set(spoke(from), true); }
  // Bytes read and bytes written by one step; call it only if there were any. Runs at every step.
  void bytes_moved(std::uint64_t upstream, std::uint64_t downstream, const Timeouts& timeouts, MonoTime now) {
    longest_silence_ = std::max(longest_silence_, now - last_activity_);
    last_activity_ = time(event::ClockFact::byte_moved) = now;
    // When both moved in one step the server's bytes were relayed last.
    const bool from_client = downstream == 0;  // mutant: idle-clocks-swapped
    auto facts = facts_;
    facts.set(event::ClockFact::byte_moved, true);
    facts.set(event::ClockFact::servers_turn, from_client);
    facts.set(event::ClockFact::clients_turn, !from_client);
    if (upstream > 0) facts.set(event::ClockFact::client_spoke, true);
    if (downstream > 0) facts.set(event::ClockFact::server_spoke, true);
    if (facts != facts_) take(facts, timeouts);
  }
  // Since when bytes of each direction wait for its sink; none: they do not. Runs at every step.
  void write_blocked(std::optional<MonoTime> upstream, std::optional<MonoTime> downstream, const Timeouts& timeouts) {
    blocked_since_ = {upstream.value_or(never), downstream.value_or(never)};
    if ((upstream || downstream) == facts_.has(event::ClockFact::write_blocked)) return;
    take_one(event::ClockFact::write_blocked, upstream || downstream, timeouts);  // mutant: blocked-clock-not-announced
  }
  // The first FIN of the two legs; those that follow change nothing.
  void fin_read(const Timeouts& timeouts, MonoTime now);
  // Bytes wait for Weir itself, or do so no more. Runs at every step.
  void held_back(bool held, const Timeouts& timeouts, MonoTime now) {
    if (held != facts_.has(event::ClockFact::held_back)) pause(held, timeouts, now);
  }
  // From now on it is asked with other timeouts. Clocks that run count from when they began.
  void timeouts_changed() { moved_closer_ = true; }
  // The session ends: the silence until now counts.
  void ended(MonoTime now) {
    if (facts_.has(event::ClockFact::connected)) longest_silence_ = std::max(longest_silence_, now - last_activity_);
  }

  // No clock runs out before this. Later facts may move it on, which is not announced; that it may have
  // come closer is announced by take_moved_closer(). None: no clock runs.
  [[nodiscard]] auto deadline(const Timeouts& timeouts) const -> std::optional<MonoTime>;
  [[nodiscard]] auto take_moved_closer() -> bool { return std::exchange(moved_closer_, false); }

  struct RanOut {
    event::TimeoutName name;
    Nanos value;                 // of the timeout
    std::optional<LegName> leg;  // to blame, if one is
  };
  // The clock that ran out first, if any has.
  [[nodiscard]] auto ran_out(const Timeouts& timeouts, MonoTime now) const -> std::optional<RanOut>;

  [[nodiscard]] auto accepted() const -> MonoTime { return times_[0]; }
  // Nothing moved for so long; pauses count, as they do in longest_silence().
  [[nodiscard]] auto silence(MonoTime now) const -> Nanos { return now - last_activity_; }
  [[nodiscard]] auto longest_silence() const -> Nanos { return longest_silence_; }

 private:
  static constexpr MonoTime never = MonoTime::max();
  static_assert(static_cast<std::size_t>(event::ClockFact::write_blocked) == event::timed_clock_facts - 1);

  [[nodiscard]] static constexpr auto spoke(LegName leg) -> event::ClockFact {
    return leg == LegName::client ? event::ClockFact::client_spoke : event::ClockFact::server_spoke;
  }
  [[nodiscard]] auto time(event::ClockFact fact) -> MonoTime& { return times_[static_cast<std::size_t>(fact)]; }
  [[nodiscard]] auto time(event::ClockFact fact) const -> MonoTime {
    if (fact == event::ClockFact::write_blocked) return std::min(blocked_since_[0], blocked_since_[1]);
    return times_[static_cast<std::size_t>(fact)];
  }
  [[nodiscard]] auto counts_from(const event::ClockRule& rule) const -> MonoTime;
  [[nodiscard]] auto leg_to_blame(event::Blame blame) const -> std::optional<LegName>;
  template <class Visit>
  void each_running(const Timeouts& timeouts, Visit visit) const;
  void take(event::ClockFacts facts, const Timeouts& timeouts);
  void take_one(event::ClockFact fact, bool holds, const Timeouts& timeouts);
  void pause(bool begins, const Timeouts& timeouts, MonoTime now);

  event::ClockFacts facts_;
  bool moved_closer_ = false;
  std::array<MonoTime, event::timed_clock_facts - 1> times_{};  // of the facts but write_blocked, the last
  std::array<MonoTime, 2> blocked_since_{never, never};         // by Direction
  MonoTime paused_at_{};
  MonoTime last_activity_{};
  Nanos longest_silence_{};
};

}  // namespace weir::proxy
