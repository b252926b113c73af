// What a diagnosis tells of a story.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "diagnose/story.h"

namespace weir::diagnose::test {

// The verdicts on one session, the client's own pauses left out: "split_write client.likely 42ms".
class CausesTest : public testing::Test {
 protected:
  auto told() -> std::vector<std::string> { return std::exchange(told_, {}); }

  Diagnosis diagnosis{{.server = "db:5432",
                       .exchanges = {},
                       .on_verdict =
                           [this](const ToldVerdict& verdict) {
                             told_.push_back(fmt::format(
                                 "{} {} {} {}", verdict.cause->name, to_string(verdict.side),
                                 to_string(verdict.certainty),
                                 std::chrono::duration_cast<std::chrono::milliseconds>(verdict.length).count()));
                             last = verdict;
                           },
                       .patterns = false}};
  // A further session of the same diagnosis.
  auto another(std::uint64_t session) -> Story {
    return Story([this](const event::Event& event) { diagnosis.on_event(event, Nanos{}); }, session);
  }
  // The sum of a cause, as the report tells it; none of it: a sum without times.
  auto sum(std::string_view cause) -> CauseSum {
    for (const CauseSum& each : diagnosis.report().causes) {
      if (each.cause->name == cause) return each;
    }
    return {};
  }

  Story story{[this](const event::Event& event) { diagnosis.on_event(event, Nanos{}); }};
  ToldVerdict last;

 private:
  std::vector<std::string> told_;
};

}  // namespace weir::diagnose::test
