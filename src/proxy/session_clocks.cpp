#include "proxy/session_clocks.h"

#include "event/timeout_catalog.h"

namespace weir::proxy {
namespace {

using event::Blame;
using event::ClockFact;
using event::ClockFacts;
using event::ClockRule;

auto runs(const ClockRule& rule, const ClockFacts& facts) -> bool {
  // mutant: held-bytes-count-as-silence
  return facts.has(rule.starts) && !facts.any_of(rule.stopped_by) && !(rule.pauses && facts.has(ClockFact::held_back));
}

// The facts that start or stop a clock.
constexpr auto governing(const ClockRule& rule) -> ClockFacts {
  ClockFacts facts = rule.stopped_by;
  facts.set(rule.starts, true);
  if (rule.pauses) facts.set(ClockFact::held_back, true);
  return facts;
}

// The catalog's rows that a relaying session runs, picked out when compiling.
template <class Visit>
void each_row(Visit visit) {
  [&]<std::size_t... Index>(std::index_sequence<Index...>) {
    const auto one = [&visit]<std::size_t At>(std::integral_constant<std::size_t, At>) {
      if constexpr (event::runs_while_relaying(event::timeout_rows[At])) visit(event::timeout_rows[At]);
    };
    (one(std::integral_constant<std::size_t, Index>{}), ...);
  }
  (std::make_index_sequence<event::timeout_count>{});
}

}  // namespace

void SessionClocks::connected(MonoTime accepted, MonoTime now) {
  facts_.set(ClockFact::accepted, true);
  facts_.set(ClockFact::connected, true);
  facts_.set(ClockFact::clients_turn, true);
  time(ClockFact::accepted) = accepted;
  time(ClockFact::connected) = last_activity_ = now;
  moved_closer_ = true;
}

void SessionClocks::fin_read(const Timeouts& timeouts, MonoTime now) {
  if (facts_.has(ClockFact::fin_read)) return;
  time(ClockFact::fin_read) = now;
  take_one(ClockFact::fin_read, true, timeouts);
}

void SessionClocks::pause(bool begins, const Timeouts& timeouts, MonoTime now) {
  if (begins) {
    paused_at_ = now;
  } else {
    for (std::size_t i = 0; i < times_.size(); ++i) {
      if (!event::moved_on_by_pauses.has(static_cast<ClockFact>(i))) continue;
      times_[i] = now - std::max(paused_at_ - times_[i], Nanos{0});  // mutant: pause-counts-as-silence
    }
  }
  take_one(ClockFact::held_back, begins, timeouts);
}

void SessionClocks::take_one(ClockFact fact, bool holds, const Timeouts& timeouts) {
  auto facts = facts_;
  facts.set(fact, holds);
  take(facts, timeouts);
}

// A clock that begins to run may be shorter than those that ran.
void SessionClocks::take(ClockFacts facts, const Timeouts& timeouts) {
  const ClockFacts changed = facts.differing_from(facts_);
  each_row([&](const event::TimeoutInfo& row) {
    if (!changed.any_of(governing(row.rule))) return;  // most rows, at every turn
    if (runs(row.rule, facts) && !runs(row.rule, facts_) && timeouts[row.name]) moved_closer_ = true;
  });
  facts_ = facts;
}

auto SessionClocks::counts_from(const ClockRule& rule) const -> MonoTime {
  MonoTime since = time(rule.starts);
  for (std::size_t i = 0; i < event::timed_clock_facts; ++i) {
    const auto fact = static_cast<ClockFact>(i);
    if (rule.moved_on_by.has(fact) && facts_.has(fact)) since = std::max(since, time(fact));
  }
  return since;
}

template <class Visit>
void SessionClocks::each_running(const Timeouts& timeouts, Visit visit) const {
  each_row([&](const event::TimeoutInfo& row) {
    const auto value = timeouts[row.name];
    if (value && runs(row.rule, facts_)) visit(row, *value, counts_from(row.rule) + *value);
  });
}

auto SessionClocks::deadline(const Timeouts& timeouts) const -> std::optional<MonoTime> {
  std::optional<MonoTime> soonest;
  each_running(timeouts, [&soonest](const event::TimeoutInfo&, Nanos, MonoTime when) {
    if (!soonest || when < *soonest) soonest = when;
  });
  return soonest;
}

auto SessionClocks::ran_out(const Timeouts& timeouts, MonoTime now) const -> std::optional<RanOut> {
  std::optional<RanOut> first;
  MonoTime soonest{};
  std::uint8_t precedence = 0;
  each_running(timeouts, [&](const event::TimeoutInfo& row, Nanos value, MonoTime when) {
    if (when > now || (first && std::pair(soonest, precedence) <= std::pair(when, row.rule.precedence))) return;
    soonest = when;
    precedence = row.rule.precedence;
    first = RanOut{row.name, value, leg_to_blame(row.blames)};
  });
  return first;
}

// Of two that are stalled the one whose bytes have waited longer.
auto SessionClocks::leg_to_blame(Blame blame) const -> std::optional<LegName> {
  switch (blame) {
    case Blame::neither: return std::nullopt;
    case Blame::client: return LegName::client;
    case Blame::server: return LegName::server;
    case Blame::stalled_leg: break;
  }
  return blocked_since_[0] <= blocked_since_[1] ? LegName::server : LegName::client;
}

}  // namespace weir::proxy
