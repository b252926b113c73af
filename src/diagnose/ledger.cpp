#include "diagnose/ledger.h"

#include <algorithm>

namespace weir::diagnose {
namespace {

// A capture may say any time: a sum stays at its end.
void add_to(Nanos& sum, Nanos more) {
  Nanos::rep total = 0;
  sum = __builtin_add_overflow(sum.count(), more.count(), &total) ? Nanos::max() : Nanos{total};
}

auto longer(const ToldVerdict& a, const ToldVerdict& b) -> bool { return a.length > b.length; }

}  // namespace

auto Ledger::row(const CauseInfo& cause, Side side, const std::string& who, const std::string& towards) -> CauseSum& {
  const bool is_full = rows_.size() >= most_rows && !rows_.contains({&cause, side, who, towards});
  const Key key = is_full ? Key{&cause, side, "others", ""} : Key{&cause, side, who, towards};
  CauseSum& sum = rows_[key];
  if (sum.cause == nullptr) {
    sum.cause = &cause;
    sum.side = side;
    sum.who = std::get<2>(key);
    sum.towards = std::get<3>(key);
  }
  return sum;
}

void Ledger::add(const ToldVerdict& verdict) {
  if (verdict.cause == &client_think_cause) {
    add_to(idle_, verdict.length);
    return;
  }
  CauseSum& sum = row(*verdict.cause, verdict.side, verdict.who, verdict.towards);
  sum.certainty = std::max(sum.certainty, verdict.certainty);
  if (verdict.length > sum.longest.length) sum.longest = verdict;
  if (sum.proof.empty()) sum.proof = verdict.proof;
  keep_if_worst(verdict);
  if (verdict.cause == &think_cause) return;  // its exchange adds it, whole
  ++sum.times;
  add_to(sum.lost, verdict.length);
  sum.lengths.add(verdict.length);
}

void Ledger::add_think(const std::string& who, Nanos length) {
  CauseSum& sum = row(think_cause, Side::server, who);
  ++sum.times;
  add_to(sum.lost, std::max(length, Nanos{}));
  sum.lengths.add(length);
}

void Ledger::add_exchange(const Exchange& exchange) {
  ++(exchange.answered ? exchanges_ : unanswered_);
  add_to(exchange_time_, exchange.end - exchange.begin - exchange.relayed);
  if (exchange.answered) times_.add(exchange.end - exchange.begin - exchange.relayed);
}

void Ledger::add_connecting(Nanos length) { add_to(exchange_time_, length); }
void Ledger::take_back(const CauseInfo& cause, Side side, const std::string& who, std::uint64_t times, Nanos lost) {
  CauseSum& sum = row(cause, side, who);
  sum.times -= std::min(sum.times, times);
  sum.lost -= std::min(sum.lost, lost);
}

void Ledger::retell(const ToldVerdict& told, const Earlier& earlier, const std::string& server) {
  if (earlier.times == 0) return;
  CauseSum& sum = row(*told.cause, told.side, told.who, told.towards);
  sum.times += earlier.times;
  add_to(sum.lost, earlier.lost());
  const Nanos each = earlier.lost() / static_cast<Nanos::rep>(earlier.times);
  for (std::uint64_t i = 0; i < earlier.times; ++i) sum.lengths.add(each);
  if (earlier.answers > Nanos{}) take_back(think_cause, Side::server, server, 0, earlier.answers);
  if (earlier.sends > Nanos{}) take_back(unknown_cause, told.side, told.who, earlier.times, earlier.sends);
  const Nanos waits = std::min(earlier.waits, idle_);
  idle_ -= waits;
  add_to(exchange_time_, waits);
}

void Ledger::prove(const CauseInfo& cause, Side side, const std::string& who, const std::string& proof) {
  CauseSum& sum = row(cause, side, who);
  sum.certainty = Certainty::proven;
  sum.proof = proof;
}

void ExchangeTimes::add(Nanos length) {
  const auto* const bound = std::ranges::lower_bound(bounds, length);
  ++counts.at(static_cast<std::size_t>(bound - bounds.begin()));
  sum += length;
}

auto Ledger::losses() const -> std::vector<Loss> {
  std::vector<Loss> all;
  for (const auto& [key, sum] : rows_) {
    if (sum.times == 0) continue;
    if (all.empty() || all.back().cause != sum.cause || all.back().side != sum.side) {
      all.push_back({.cause = sum.cause, .side = sum.side, .lost = {}});
    }
    all.back().lost += sum.lost;
  }
  return all;
}

void Ledger::see(MonoTime now) {
  first_ = std::min(first_, now);
  last_ = std::max(last_, now);
}

void Ledger::keep_if_worst(const ToldVerdict& verdict) {
  if (worst_.size() >= most_worst) {
    if (verdict.length <= worst_.front().length) return;
    std::ranges::pop_heap(worst_, longer);
    worst_.pop_back();
  }
  worst_.push_back(verdict);
  std::ranges::push_heap(worst_, longer);
}

auto Ledger::report() const -> Report {
  Report report{.sessions = sessions_,
                .exchanges = exchanges_,
                .unanswered = unanswered_,
                .span = last_ > first_ ? last_ - first_ : Nanos{},
                .exchange_time = exchange_time_,
                .idle = idle_,
                .looks = looks_,
                .looks_skipped = looks_skipped_,
                .missed = missed_,
                .causes = {},
                .worst = worst_};
  for (const auto& [key, sum] : rows_) {
    if (sum.times > 0) report.causes.push_back(sum);
  }
  std::ranges::sort(report.causes, [](const CauseSum& a, const CauseSum& b) { return a.lost > b.lost; });
  std::ranges::sort(report.worst, longer);
  return report;
}

}  // namespace weir::diagnose
