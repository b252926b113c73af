#include "diagnose/upstream_window.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace weir::diagnose {

auto as_pattern(const ToldVerdict& verdict, const Pattern* pattern) -> ToldVerdict {
  ToldVerdict told = verdict;
  if (pattern == nullptr) return told;
  told.cause = pattern->cause;
  told.certainty = pattern->finding.certainty;
  told.text = pattern->finding.text;
  told.fix = pattern->finding.fix;
  told.proof = pattern->finding.proof;
  told.evidence.insert(told.evidence.begin(), pattern->finding.evidence.begin(), pattern->finding.evidence.end());
  return told;
}

void UpstreamWindow::hold(const SlowAnswer& answer, ToldVerdict verdict) {
  held_.push_back({.answer = answer, .verdict = std::move(verdict)});
}

auto UpstreamWindow::due() const -> std::optional<MonoTime> {
  if (settled_ == held_.size()) return std::nullopt;
  return held_.size() - settled_ >= most / 2 ? MonoTime{} : held_[settled_].answer.answered + patience;
}

void UpstreamWindow::settle(MonoTime now, const Take& take) {
  const auto next = due();
  if (!next || *next > now) return;
  const auto found = patterns();
  // All that have waited for half as long go with it, so that patterns are not sought for each.
  const bool is_full = held_.size() - settled_ >= most / 2;
  while (settled_ < held_.size()) {
    HeldVerdict& held = held_[settled_];
    if (!is_full && held.answer.answered + patience / 2 > now) break;
    held.is_settled = true;
    take(held, found[settled_].get());
    held.verdict = {};
    ++settled_;
  }
  while (settled_ > 0 && (held_.size() > most || held_.front().answer.answered + memory < now)) {
    held_.pop_front();
    --settled_;
  }
}

void UpstreamWindow::show(const Take& take) const {
  if (settled_ == held_.size()) return;
  const auto found = patterns();
  for (std::size_t i = settled_; i < held_.size(); ++i) take(held_[i], found[i].get());
}

auto UpstreamWindow::has_heard(MonoTime begin, MonoTime end) const -> bool {
  if (end < begin || first_bytes_ == MonoTime{} || first_bytes_ > end || last_bytes_ < begin) return false;
  return std::ranges::none_of(silences_, [&](const Silence& each) { return each.begin < begin && each.end > end; });
}

void UpstreamWindow::add_silence(MonoTime end) {
  silences_.push_back({last_bytes_, end});
  if (silences_.size() > most_silences) silences_.pop_front();
}

auto UpstreamWindow::patterns() const -> std::vector<std::shared_ptr<const Pattern>> {
  std::vector<std::size_t> order(held_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [this](std::size_t at) { return held_[at].answer.answered; });
  std::vector<SlowAnswer> answers;
  answers.reserve(order.size());
  for (const std::size_t at : order) answers.push_back(held_[at].answer);
  const std::vector<Silence> silences(silences_.begin(), silences_.end());
  const auto found = find_patterns(answers, silences);
  std::vector<std::shared_ptr<const Pattern>> by_place(held_.size());
  for (std::size_t i = 0; i < order.size(); ++i) by_place[order[i]] = found[i];
  return by_place;
}

}  // namespace weir::diagnose
