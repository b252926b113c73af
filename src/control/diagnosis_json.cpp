#include "control/diagnosis_json.h"

#include <algorithm>
#include <utility>

namespace weir::control {
namespace {

auto sum_json(const diagnose::CauseSum& sum, Nanos whole) -> Json {
  const double share =
      whole > Nanos{} ? static_cast<double>(sum.lost.count()) / static_cast<double>(whole.count()) : 0.0;
  return {{"cause", sum.cause->name},
          {"side", to_string(sum.side)},
          {"who", sum.who},
          {"towards", sum.towards},
          {"certainty", to_string(sum.certainty)},
          {"proof", sum.proof},
          {"times", sum.times},
          {"lost_ns", sum.lost.count()},
          {"share", share},
          {"p50_ns", sum.lengths.percentile(0.5).count()},
          {"p99_ns", sum.lengths.percentile(0.99).count()},
          {"text", sum.longest.text},
          {"fix", sum.longest.fix}};
}

}  // namespace

auto verdict_json(const diagnose::ToldVerdict& verdict) -> Json {
  Json evidence = Json::object();
  for (const diagnose::Evidence& each : verdict.evidence) evidence[std::string(each.name)] = each.value;
  return {{"session", static_cast<std::uint64_t>(verdict.session)},
          {"exchange", verdict.exchange},
          {"start", verdict.begin.time_since_epoch().count()},
          {"length_ns", verdict.length.count()},
          {"cause", verdict.cause->name},
          {"side", to_string(verdict.side)},
          {"who", verdict.who},
          {"towards", verdict.towards},
          {"certainty", to_string(verdict.certainty)},
          {"evidence", std::move(evidence)},
          {"fix", verdict.fix}};
}

auto report_json(const diagnose::Report& report) -> Json {
  constexpr std::size_t most_worst = 10;
  Json causes = Json::array();
  Json undecided = Json::array();
  Json unknown = {{"times", 0}, {"lost_ns", 0}};
  for (const auto& sum : report.causes) {
    if (sum.cause == &diagnose::unknown_cause) {
      unknown["times"] = unknown["times"].get<std::uint64_t>() + sum.times;
      unknown["lost_ns"] = unknown["lost_ns"].get<std::int64_t>() + sum.lost.count();
    } else if (sum.cause == &diagnose::undecided_cause) {
      undecided.push_back(sum_json(sum, report.exchange_time));
    } else {
      causes.push_back(sum_json(sum, report.exchange_time));
    }
  }
  Json worst = Json::array();
  const std::size_t shown = std::min(report.worst.size(), most_worst);
  for (std::size_t i = 0; i < shown; ++i) worst.push_back(verdict_json(report.worst[i]));
  return {{"sessions", report.sessions},
          {"exchanges", report.exchanges},
          {"unanswered", report.unanswered},
          {"span_ns", report.span.count()},
          {"exchange_ns", report.exchange_time.count()},
          {"idle_ns", report.idle.count()},
          {"looks", report.looks},
          {"looks_skipped", report.looks_skipped},
          {"missed_events", report.missed},
          {"causes", std::move(causes)},
          {"worst", std::move(worst)},
          {"undecided", std::move(undecided)},
          {"unknown", std::move(unknown)}};
}

}  // namespace weir::control
