#include "diagnose/answer_patterns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <queue>
#include <random>
#include <string>

namespace weir::diagnose {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::Pair;

constexpr MonoTime at_first{1000s};

// A machine for what clients and a server do: each session asks, is answered, thinks, and asks again.
class Scene {
 public:
  explicit Scene(std::uint64_t seed) : random_(seed) {}
  auto uniform(double least, double most) -> Nanos {
    return ms(std::uniform_real_distribution<double>(least, most)(random_));
  }
  auto exponential(double mean) -> Nanos { return ms(std::exponential_distribution<double>(1.0 / mean)(random_)); }
  auto normal(double mean, double deviation) -> Nanos {
    return ms(std::max(0.01, std::normal_distribution<double>(mean, deviation)(random_)));
  }
  auto number(int least, int most) -> int { return std::uniform_int_distribution<int>(least, most)(random_); }
  static auto ms(double value) -> Nanos { return Nanos{static_cast<std::int64_t>(value * 1e6)}; }

  // `sessions` clients ask `rounds` times, each the first time at at_first + start(); `answer` says when one that was
  // asked then is answered, and `rest` how long the client waits then.
  using Time = std::function<Nanos()>;
  void run(int sessions, int rounds, const Time& start, const std::function<MonoTime(MonoTime)>& answer,
           const Time& rest) {
    using Ask = std::pair<MonoTime, int>;
    std::priority_queue<Ask, std::vector<Ask>, std::greater<>> asks;
    std::map<int, int> left;
    for (int i = 0; i < sessions; ++i) {
      asks.emplace(at_first + start(), i);
      left[i] = rounds;
    }
    while (!asks.empty()) {
      const auto [asked, session] = asks.top();
      asks.pop();
      const MonoTime answered = answer(asked);
      came_.push_back(answered);
      if (answered - asked >= least_pause) {
        answers.push_back({{ProxyId{}, SessionNumber{static_cast<std::uint64_t>(session) + 1}}, asked, answered});
      }
      if (--left[session] > 0) asks.emplace(answered + rest(), session);
    }
  }
  // As many workers, each busy until then: who is asked first is served first, for `service()`.
  auto workers(int count, const Time& service) -> std::function<MonoTime(MonoTime)> {
    auto free = std::make_shared<std::vector<MonoTime>>(count, MonoTime{});
    return [free, service](MonoTime asked) {
      auto& next = *std::ranges::min_element(*free);
      next = std::max(next, asked) + service();
      return next;
    };
  }
  // How many answers each cause has of all; the window slides over them as it does over a live upstream's.
  auto found(std::size_t window = 256) -> std::map<std::string, int> {
    std::ranges::sort(answers, {}, &SlowAnswer::answered);
    std::ranges::sort(came_);
    std::vector<Silence> silences;
    for (std::size_t i = 1; i < came_.size(); ++i) {
      if (came_[i] - came_[i - 1] >= least_silence) silences.push_back({came_[i - 1], came_[i]});
    }
    std::map<std::string, int> causes;
    for (std::size_t at = 0; at < answers.size(); at += window) {
      const auto part = std::span(answers).subspan(at, std::min(window, answers.size() - at));
      for (const auto& pattern : find_patterns(part, silences))
        ++causes[pattern ? std::string(pattern->cause->name) : ""];
    }
    return causes;
  }

  std::vector<SlowAnswer> answers;

 private:
  std::mt19937_64 random_;
  std::vector<MonoTime> came_;
};

auto all_at_once() -> Nanos { return Nanos{}; }
auto at_once() -> Nanos { return Nanos{}; }

TEST(AnswerPatterns, EightSessionsBehindOneLockAreAConvoy) {
  Scene scene(1);
  const auto lock = scene.workers(1, [&] { return scene.normal(20.2, 0.1); });
  scene.run(8, 3, all_at_once, lock, at_once);
  const auto found = scene.found();
  EXPECT_EQ(found.at("lock_convoy"), 23) << "all but the first, which nobody held up";
  EXPECT_EQ(found.at(""), 1);
}

TEST(AnswerPatterns, AConvoyIsFoundWithRestsBetweenRequestsToo) {
  Scene scene(2);
  const auto lock = scene.workers(1, [&] { return scene.normal(10, 0.1); });
  scene.run(
      6, 20, [&] { return scene.uniform(0, 30); }, lock, [&] { return scene.uniform(0, 40); });
  EXPECT_GT(scene.found()["lock_convoy"], 40);
  EXPECT_EQ(scene.found().count("pool_exhausted") + scene.found().count("polling"), 0u);
}

TEST(AnswerPatterns, OnABusyMachineAConvoyIsStillNoPool) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Scene scene(seed);
    const auto lock = scene.workers(1, [&] { return 40ms + scene.exponential(2); });
    scene.run(8, 6, all_at_once, lock, [&] { return scene.uniform(0, 50); });
    const auto found = scene.found();
    EXPECT_EQ(found.count("pool_exhausted") + found.count("polling") + found.count("standstill"), 0u) << seed;
    EXPECT_EQ(found.count("lock_convoy"), 1u) << seed;
  }
}

TEST(AnswerPatterns, StepsOfAConstantHeightAreAPoolsAndTheirWidthItsSize) {
  for (const int width : {2, 3, 4}) {
    Scene scene(3);
    const auto pool = scene.workers(width, [&] { return scene.normal(30.2, 0.1); });
    scene.run(
        16, 12, [&] { return scene.uniform(0, 100); }, pool, [&] { return scene.uniform(0, 100); });
    std::ranges::sort(scene.answers, {}, &SlowAnswer::answered);
    const auto patterns = find_patterns(scene.answers, {});
    const auto claimed = std::ranges::find_if(patterns, [](const auto& each) { return each != nullptr; });
    ASSERT_NE(claimed, patterns.end()) << width;
    EXPECT_EQ((*claimed)->cause, &pool_exhausted_cause);
    EXPECT_THAT((*claimed)->finding.text, testing::HasSubstr(fmt::format("has {} workers, 30.2ms", width)));
  }
}

TEST(AnswerPatterns, AnswersOnATickAreAPollers) {
  for (const int sessions : {1, 4}) {
    Scene scene(4);
    scene.run(
        sessions, 20, [&] { return scene.uniform(0, 50); },
        [&](MonoTime asked) {
          const Nanos tick = 50200us;  // a sleep of 50 ms and what is done between
          return asked + (tick - asked.time_since_epoch() % tick) + scene.uniform(0, 0.3);
        },
        [&] { return scene.uniform(1, 100); });
    const auto found = scene.found();
    EXPECT_GT(found.at("polling"), 17 * sessions);
  }
}

TEST(AnswerPatterns, ManySessionsThatAreAnsweredTogetherAfterASilenceSawAStandstill) {
  Scene scene(5);
  const MonoTime stop = at_first + 500ms;
  scene.run(
      8, 60, [&] { return scene.uniform(0, 20); },
      [&](MonoTime asked) {
        const MonoTime answered = asked + scene.uniform(0.1, 1);
        return answered >= stop && answered < stop + 150ms ? stop + 150ms + scene.uniform(0, 0.1) : answered;
      },
      [&] { return scene.uniform(10, 120); });
  EXPECT_THAT(scene.found(), ElementsAre(Pair("standstill", testing::Ge(7))));
}

// None of these is a pattern. Each is told thousands of times, with other numbers.
class NoPattern : public testing::Test {
 protected:
  void expect_none(int rounds, const std::function<void(Scene&)>& tell) {
    int wrong = 0;
    for (int round = 0; round < rounds; ++round) {
      Scene scene(static_cast<std::uint64_t>(round) + 1);
      tell(scene);
      auto found = scene.found();
      found.erase("");
      if (found.empty()) continue;
      ++wrong;
      ADD_FAILURE() << "round " << round << ": " << found.begin()->second << " " << found.begin()->first;
      if (wrong > 3) return;
    }
  }
};

TEST_F(NoPattern, IndependentTimesOfManyKinds) {
  expect_none(2000, [](Scene& scene) {
    const int kind = scene.number(0, 4);
    const double mean = std::pow(10.0, static_cast<double>(scene.number(5, 22)) / 10);  // 3 to 160 ms
    const auto service = [&scene, kind, mean]() -> Nanos {
      switch (kind) {
        case 0: return scene.uniform(0, 2 * mean);
        case 1: return scene.exponential(mean);
        case 2: return scene.normal(mean, mean / 10);
        case 3: return scene.number(0, 1) == 0 ? scene.normal(mean, mean / 50) : scene.normal(mean / 5, mean / 50);
        default: return scene.uniform(0.8 * mean, 1.2 * mean);
      }
    };
    const bool rests = scene.number(0, 1) == 1;
    scene.run(
        scene.number(2, 16), 30,
        scene.number(0, 1) == 1 ? Scene::Time(all_at_once) : [&] { return scene.uniform(0, mean); },
        [&](MonoTime asked) { return asked + service(); }, [&] { return rests ? scene.exponential(mean) : 10us; });
  });
}

TEST_F(NoPattern, ConstantTimesWhoeverAsks) {
  expect_none(2000, [](Scene& scene) {
    const double mean = std::pow(10.0, static_cast<double>(scene.number(5, 22)) / 10);
    const double jitter = scene.number(0, 1) == 0 ? 0.001 : 0.03;
    const int rest = scene.number(0, 2);
    scene.run(
        scene.number(1, 16), 30, [&] { return scene.uniform(0, mean); },
        [&](MonoTime asked) { return asked + scene.normal(mean, jitter * mean); },
        [&]() -> Nanos {
          if (rest == 0) return 20us;
          return rest == 1 ? scene.exponential(mean) : Scene::ms(mean / 2);
        });
  });
}

TEST_F(NoPattern, SessionsOfWhichEachHasAConstantTimeOfItsOwn) {
  expect_none(2000, [](Scene& scene) {
    const int step = scene.number(5, 40);
    for (int session = scene.number(2, 12); session > 0; --session) {
      const Nanos own = step * scene.number(1, 4) * 1ms;
      MonoTime asked = at_first + scene.uniform(0, step);
      for (int i = 0; i < 30; ++i) {
        const MonoTime answered = asked + own + scene.uniform(0, 0.05);
        scene.answers.push_back({{ProxyId{}, SessionNumber{static_cast<std::uint64_t>(session)}}, asked, answered});
        asked = answered + 20us;
      }
    }
  });
}

TEST_F(NoPattern, ALoneClient) {
  expect_none(2000, [](Scene& scene) {
    const double mean = std::pow(10.0, static_cast<double>(scene.number(5, 22)) / 10);
    const bool steady = scene.number(0, 1) == 0;
    scene.run(
        1, 200, all_at_once,
        [&](MonoTime asked) { return asked + (steady ? scene.normal(mean, mean / 100) : scene.uniform(0, 2 * mean)); },
        [&] { return steady ? 10us : scene.exponential(mean); });
  });
}

TEST_F(NoPattern, ALoadThatIsPaced) {
  expect_none(2000, [](Scene& scene) {
    const double mean = std::pow(10.0, static_cast<double>(scene.number(5, 22)) / 10);
    const int sessions = scene.number(2, 16);
    int started = 0;
    scene.run(
        sessions, 30, [&] { return Scene::ms(mean * started++); },  // one request each `mean`, in turn
        [&](MonoTime asked) { return asked + scene.normal(0.8 * mean * sessions, mean / 100); },
        [&] { return Scene::ms(0.2 * mean * sessions); });
  });
}

TEST_F(NoPattern, AQueueOfRequestsOfDifferentTimes) {
  expect_none(2000, [](Scene& scene) {
    const double mean = std::pow(10.0, static_cast<double>(scene.number(5, 18)) / 10);
    const auto pool = scene.workers(scene.number(1, 4), [&] { return scene.exponential(mean); });
    scene.run(scene.number(4, 16), 30, all_at_once, pool, [&] { return scene.exponential(mean); });
  });
}

TEST_F(NoPattern, ABusyMachineOnWhichAllAreLateNowAndThen) {
  expect_none(2000, [](Scene& scene) {
    MonoTime busy_until{};
    scene.run(
        scene.number(2, 8), 60, [&] { return scene.uniform(0, 10); },
        [&](MonoTime asked) {
          if (asked > busy_until && scene.number(0, 20) == 0) busy_until = asked + scene.uniform(1, 12);
          return std::max(asked + scene.exponential(2), busy_until) + scene.exponential(0.3);
        },
        [&] { return scene.exponential(5); });
  });
}

}  // namespace
}  // namespace weir::diagnose
