#include "diagnose/peer_watch.h"

#include <algorithm>
#include <utility>

#include "diagnose/peer_evidence.h"

namespace weir::diagnose {

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
  if (here_[0] == false && here_[1] == false) return std::nullopt;
  const OpenStretch stretch = timeline.open_stretch();
  const bool connecting = stretch.what == OpenStretch::What::connecting;
  if (connecting ? !upstream_ : !legs_) return std::nullopt;
  if (stretch.begin != stretch_) return stretch.begin + first_age;
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
  for (const LegName leg : {LegName::server, LegName::client}) {
    if (stretch.what == What::blocked && leg != stretch.sink) continue;
    if (stretch.what == What::connecting && leg == LegName::client) continue;
    auto seen = look_at(leg, now, eyes, budget, is_urgent);
    if (!seen) continue;
    is_telling = is_telling || seen->state.send_queue > 0 || is_not_accepted(seen->state);
    timeline.add_look(*seen);
  }
  // What is slow may be looked at again later than planned; each look doubles the age of the next.
  while (looks_ < most_looks && stretch.begin + first_age * (std::int64_t{1} << looks_) <= now) ++looks_;
  const bool nobody_is_here = here_[0] == false && here_[1] == false;
  is_enough_ = !is_telling || looks_ >= most_looks || nobody_is_here;
}

auto SessionLooks::is_here(LegName leg, const PeerEyes& eyes) -> bool {
  auto& here = here_.at(index(leg));
  if (!here) here = legs_ ? eyes.is_here((*legs_).at(index(leg)).peer) : (upstream_ && eyes.is_here(*upstream_));
  return *here;
}

auto SessionLooks::look_at(LegName leg, MonoTime now, const PeerEyes& eyes, LookBudget& budget, bool is_urgent)
    -> std::optional<PeerLook> {
  if (!is_here(leg, eyes) || !budget.take(now, is_urgent)) return std::nullopt;
  const event::LegAddresses addresses = legs_ ? (*legs_).at(index(leg)) : event::LegAddresses{{}, *upstream_};
  auto state = eyes.look(addresses);
  if (!state) return std::nullopt;
  const MonoTime seen = eyes.now();
  if (leg == LegName::server && eyes.owner && state->owner != 0) state->process = eyes.owner(state->owner);
  return PeerLook{.time = seen, .leg = leg, .state = *state};
}

}  // namespace weir::diagnose
