#include "control/kept_verdicts.h"

#include <algorithm>
#include <utility>

namespace weir::control {

auto KeptVerdicts::add(KeptVerdict verdict) -> std::uint64_t {
  verdict.id = ++last_id_;
  kept_.push_back(std::move(verdict));
  if (kept_.size() > remembered) {
    forgotten_ = kept_.front().id;  // mutant: forgotten-verdicts-are-not-missed
    kept_.pop_front();
  }
  return last_id_;
}

void KeptVerdicts::forget(ProxyId proxy) {
  std::erase_if(kept_, [proxy](const KeptVerdict& each) { return each.proxy == proxy; });
}

auto KeptVerdicts::read(std::optional<ProxyId> proxy, std::optional<std::uint64_t> after, std::size_t most) const
    -> Answer {
  Answer answer{.verdicts = {}, .last = last_id_};
  const auto is_wanted = [&](const KeptVerdict& each) { return !proxy || each.proxy == *proxy; };
  if (after) {
    answer.missed = forgotten_ > *after ? forgotten_ - *after : 0;
    for (auto at = std::ranges::upper_bound(kept_, *after, {}, &KeptVerdict::id);
         at != kept_.end() && answer.verdicts.size() < most; ++at) {
      if (is_wanted(*at)) answer.verdicts.push_back(*at);
    }
    return answer;
  }
  for (auto at = kept_.rbegin(); at != kept_.rend() && answer.verdicts.size() < most; ++at) {
    if (is_wanted(*at)) answer.verdicts.push_back(*at);
  }
  std::ranges::reverse(answer.verdicts);
  return answer;
}

}  // namespace weir::control
