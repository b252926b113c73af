// The answers of one upstream that took their time: each waits up to a second for what others will show, and stays for
// a while as what the next are seen with.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "diagnose/answer_patterns.h"
#include "diagnose/ledger.h"

namespace weir::diagnose {

// A verdict that a pattern may replace.
struct HeldVerdict {
  SlowAnswer answer;
  ToldVerdict verdict;
  bool is_settled = false;
};

// The verdict as the pattern has it; null: as it is.
[[nodiscard]] auto as_pattern(const ToldVerdict& verdict, const Pattern* pattern) -> ToldVerdict;

// Of one proxy. The observer's thread.
class UpstreamWindow {
 public:
  static constexpr Nanos patience = std::chrono::seconds{1};
  static constexpr std::size_t most = 256;                   // answers
  static constexpr Nanos memory = std::chrono::seconds{30};  // of those that are settled
  static constexpr std::size_t most_silences = 64;

  // A byte came from the upstream, in any session.
  void on_bytes(MonoTime when) {
    if (when - last_bytes_ >= least_silence && last_bytes_ != MonoTime{}) add_silence(when);
    if (first_bytes_ == MonoTime{}) first_bytes_ = when;
    last_bytes_ = std::max(last_bytes_, when);
  }
  // Did one come in this stretch, which began no longer ago than the last most_silences silences?
  [[nodiscard]] auto has_heard(MonoTime begin, MonoTime end) const -> bool;
  // Holds it. settle() is due at once when there are too many.
  void hold(const SlowAnswer& answer, ToldVerdict verdict);

  // When settle() is to be called; none: nothing waits.
  [[nodiscard]] auto due() const -> std::optional<MonoTime>;
  // Gives those that have waited for long enough, in the order in which they came.
  using Take = std::function<void(const HeldVerdict&, const Pattern*)>;
  void settle(MonoTime now, const Take& take);
  // Gives all that wait, as they would be settled now, and keeps them.
  void show(const Take& take) const;

 private:
  void add_silence(MonoTime end);
  [[nodiscard]] auto patterns() const -> std::vector<std::shared_ptr<const Pattern>>;  // of held_

  std::deque<HeldVerdict> held_;  // by the time of their answers, as far as events come so
  std::size_t settled_ = 0;       // so many of them, at the front
  std::deque<Silence> silences_;
  MonoTime first_bytes_{};
  MonoTime last_bytes_{};
};

}  // namespace weir::diagnose
