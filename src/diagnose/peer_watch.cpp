#include "diagnose/peer_watch.h"

#include <algorithm>
#include <utility>

#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

namespace {
constexpr Nanos own_age = SessionLooks::first_age * (1 << SessionLooks::first_own_look);
}  // namespace

auto LookBudget::take(MonoTime now, bool is_urgent) -> bool {
  constexpr Nanos most = std::chrono::seconds{1};
  constexpr Nanos price = most / per_second;
  if (last_ && now > *last_) credit_ = std::min(most, credit_ + (now - *last_));
  last_ = last_ ? std::max(*last_, now) : now;
  const Nanos least = is_urgent ? price : most / 2;
  if (credit_ < least) {
    ++skipped_;
    return false;
  }
  credit_ -= price;
  ++made_;
  return true;
}

auto PeerWatch::take_due(MonoTime now) -> std::optional<event::SessionKey> {
  if (waiting_.empty() || waiting_.top().due > now) return std::nullopt;
  const event::SessionKey session = waiting_.top().session;
  waiting_.pop();
  return session;
}

auto SessionLooks::due(const SessionTimeline& timeline) const -> std::optional<MonoTime> {
  const bool nobody_is_here = here_[0] == false && here_[1] == false;
  const OpenStretch stretch = timeline.open_stretch();
  const bool connecting = stretch.what == OpenStretch::What::connecting;
  if (connecting ? !upstream_ : !legs_) return std::nullopt;
  if (connecting && here_.at(index(LegName::server)) == false) return std::nullopt;
  if (stretch.begin != stretch_) return stretch.begin + (nobody_is_here ? own_age : first_age);
  if (is_enough_) return std::nullopt;
  return stretch.begin + first_age * (std::int64_t{1} << looks_);
}

void SessionLooks::look(SessionTimeline& timeline, MonoTime now, const PeerEyes& eyes, LookBudget& budget) {
  const OpenStretch stretch = timeline.open_stretch();
  if (stretch.begin != stretch_) {
    stretch_ = stretch.begin;
    looks_ = 0;
  }
  using What = OpenStretch::What;
  const bool is_urgent = stretch.what != What::quiet;
  bool is_telling = is_urgent;
  bool own_comes_later = false;
  for (const LegName leg : {LegName::server, LegName::client}) {
    if (stretch.what == What::blocked && leg != stretch.sink) continue;
    if (stretch.what == What::connecting && leg == LegName::client) continue;
    if (!is_here(leg, eyes)) {
      const auto own = look_at_own_end(leg, now, eyes, budget, is_urgent);
      own_comes_later = own_comes_later || now < stretch.begin + own_age;
      if (!own) continue;
      is_telling = is_telling || own->state.send_queue > 0;
      timeline.add_own_look(*own);
      continue;
    }
    const auto seen = look_at(leg, now, eyes, budget, is_urgent);
    if (!seen) continue;
    is_telling = is_telling || seen->state.send_queue > 0 || is_not_accepted(seen->state);
    timeline.add_look(*seen);
  }
  // What is slow may be looked at again later than planned; each look doubles the age of the next.
  while (looks_ < most_looks && stretch.begin + first_age * (std::int64_t{1} << looks_) <= now) ++looks_;
  if (!is_telling && own_comes_later) looks_ = first_own_look;  // mutant: idle-peers-are-looked-at-often
  is_enough_ = !(is_telling || own_comes_later) || looks_ >= most_looks;
}

auto SessionLooks::is_here(LegName leg, const PeerEyes& eyes) -> bool {
  auto& here = here_.at(index(leg));
  if (!here) here = legs_ ? eyes.is_here((*legs_).at(index(leg)).peer) : (upstream_ && eyes.is_here(*upstream_));
  return *here;
}

auto SessionLooks::look_at(LegName leg, MonoTime now, const PeerEyes& eyes, LookBudget& budget, bool is_urgent)
    -> std::optional<PeerLook> {
  if (!budget.take(now, is_urgent)) return std::nullopt;
  const event::LegAddresses addresses = legs_ ? (*legs_).at(index(leg)) : event::LegAddresses{{}, *upstream_};
  auto state = eyes.look(addresses);
  if (!state) return std::nullopt;
  const MonoTime seen = eyes.now();
  if (leg == LegName::server && eyes.owner && state->owner != 0) state->process = eyes.owner(state->owner);
  return PeerLook{.time = seen, .leg = leg, .state = *state};
}

auto SessionLooks::look_at_own_end(LegName leg, MonoTime now, const PeerEyes& eyes, LookBudget& budget, bool is_urgent)
    -> std::optional<PeerLook> {
  if (!legs_ || now < stretch_ + own_age || !budget.take(now, is_urgent)) return std::nullopt;
  const event::LegAddresses& leg_addresses = (*legs_).at(index(leg));
  const auto state = eyes.look({.local = leg_addresses.peer, .peer = leg_addresses.local});
  if (!state) return std::nullopt;
  return PeerLook{.time = eyes.now(), .leg = leg, .state = *state};
}

}  // namespace weir::diagnose
