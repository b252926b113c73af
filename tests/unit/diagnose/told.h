// What a diagnosis tells of a story.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "diagnose/story.h"

namespace weir::diagnose::test {

// Notes verdicts, the client's own pauses left out: "split_write client likely 42", in milliseconds.
class VerdictsTest : public testing::Test {
 protected:
  auto note() -> std::function<void(const ToldVerdict&)> {
    return [this](const ToldVerdict& verdict) {
      told_.push_back(fmt::format("{} {} {} {}", verdict.cause->name, to_string(verdict.side),
                                  to_string(verdict.certainty),
                                  std::chrono::duration_cast<std::chrono::milliseconds>(verdict.length).count()));
      last = verdict;
    };
  }
  // Those since the last call.
  auto told() -> std::vector<std::string> { return std::exchange(told_, {}); }

  ToldVerdict last;

 private:
  std::vector<std::string> told_;
};

// The verdicts on one session.
class CausesTest : public VerdictsTest {
 protected:
  Diagnosis diagnosis{{.server = "db:5432", .exchanges = {}, .on_verdict = note(), .patterns = false}};
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
};

}  // namespace weir::diagnose::test
