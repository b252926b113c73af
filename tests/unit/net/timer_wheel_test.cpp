#include "net/timer_wheel.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace weir::net {
namespace {

using namespace std::chrono_literals;

constexpr MonoTime start{1234567891ns};  // on no tick of its own
constexpr Nanos tick = TimerWheel::tick_length;

class Probe final : public Timer {
 public:
  explicit Probe(std::function<void()> then = {}) : then_(std::move(then)) {}
  void on_timer() override {
    ++fired;
    if (then_) then_();
  }
  int fired = 0;

 private:
  std::function<void()> then_;
};

TEST(TimerWheel, FiresAtTheFirstTickAtOrAfterTheDeadline) {
  TimerWheel wheel(start);
  Probe probe;
  wheel.arm(probe, start + 25ms);
  wheel.advance(start + 29ms);
  EXPECT_EQ(probe.fired, 0) << "25 ms lie within the third tick";
  EXPECT_TRUE(probe.armed());
  wheel.advance(start + 30ms);
  EXPECT_EQ(probe.fired, 1);
  EXPECT_FALSE(probe.armed());
  wheel.advance(start + 1h);
  EXPECT_EQ(probe.fired, 1) << "once only";
}

TEST(TimerWheel, ADeadlineInThePastFiresAtTheNextTick) {
  TimerWheel wheel(start);
  wheel.advance(start + 1s);
  Probe probe;
  wheel.arm(probe, start - 1h);
  wheel.advance(start + 1s + tick - 1ns);
  EXPECT_EQ(probe.fired, 0);
  wheel.advance(start + 1s + tick);
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, ArmingAgainMovesTheTimer) {
  TimerWheel wheel(start);
  Probe probe;
  wheel.arm(probe, start + 1s);
  wheel.arm(probe, start + 2s);
  wheel.advance(start + 1s + tick);
  EXPECT_EQ(probe.fired, 0);
  wheel.arm(probe, start + 1500ms);
  wheel.advance(start + 1500ms);
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, ADestroyedTimerIsTakenOutAndADestroyedWheelLetsGo) {
  auto wheel = std::make_unique<TimerWheel>(start);
  Probe stays;
  {
    Probe goes;
    wheel->arm(goes, start + 1s);
    wheel->arm(stays, start + 1s);
  }
  wheel->advance(start + 2s);
  EXPECT_EQ(stays.fired, 1);
  wheel->arm(stays, start + 3s);
  wheel.reset();
  EXPECT_FALSE(stays.armed());
}

TEST(TimerWheel, AnEmptyWheelHasNothingNext) {
  TimerWheel wheel(start);
  EXPECT_EQ(wheel.next(), std::nullopt);
  Probe probe;
  wheel.arm(probe, start + 5h);
  wheel.disarm(probe);
  EXPECT_EQ(wheel.next(), std::nullopt);
}

TEST(TimerWheel, TheFarthestDeadlineThereIsCanBeArmed) {
  TimerWheel wheel(start);
  Probe probe;
  wheel.arm(probe, MonoTime::max());
  wheel.advance(start + 24h * 365);
  EXPECT_EQ(probe.fired, 0);
  EXPECT_TRUE(probe.armed());
}

TEST(TimerWheel, ACallbackMayDisarmAndDestroyOthersOfItsOwnTick) {
  TimerWheel wheel(start);
  std::vector<std::unique_ptr<Probe>> probes;
  int fired = 0;
  // Whoever comes first ends all the others, half of them by destroying them.
  for (int i = 0; i < 6; ++i) {
    probes.push_back(std::make_unique<Probe>([&, i] {
      ++fired;
      for (int other = 0; other < 6; ++other) {
        if (other == i) continue;
        const auto at = static_cast<std::size_t>(other);
        other % 2 == 0 ? wheel.disarm(*probes[at]) : probes[at].reset();
      }
    }));
    wheel.arm(*probes.back(), start + 50ms);
  }
  wheel.advance(start + 50ms);
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(wheel.next(), std::nullopt);
}

TEST(TimerWheel, ACallbackThatArmsForThePastDoesNotKeepAdvanceFromEnding) {
  TimerWheel wheel(start);
  Probe* self = nullptr;
  Probe probe([&] { wheel.arm(*self, start); });
  self = &probe;
  wheel.arm(probe, start);
  wheel.advance(start + 5 * tick);
  EXPECT_EQ(probe.fired, 5) << "once a tick";
}

// What should happen, kept in the plainest structure that can: by the moment from which a timer is due.
class Model {
 public:
  void arm(int id, MonoTime due) {
    disarm(id);
    armed_[id] = by_time_.emplace(due, id);
  }
  void disarm(int id) {
    const auto found = armed_.find(id);
    if (found == armed_.end()) return;
    by_time_.erase(found->second);
    armed_.erase(found);
  }
  [[nodiscard]] auto is_armed(int id) const -> bool { return armed_.contains(id); }
  [[nodiscard]] auto due(int id) const -> MonoTime { return armed_.at(id)->first; }
  [[nodiscard]] auto soonest() const -> std::optional<MonoTime> {
    return by_time_.empty() ? std::nullopt : std::optional(by_time_.begin()->first);
  }

 private:
  using ByTime = std::multimap<MonoTime, int>;
  ByTime by_time_;
  std::map<int, ByTime::iterator> armed_;
};

// Drives a wheel and the model with the same random steps; every call of a timer is checked on the spot.
class Story {
 public:
  explicit Story(unsigned seed) : random_(seed), wheel_(start) {
    for (int id = 0; id < 60; ++id) make(id);
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      mutate();
      if (chance(3)) advance(now_ + span());
      if (chance(10) && wheel_.next()) advance(std::max(now_, *wheel_.next()));
    }
  }

 private:
  auto chance(unsigned one_in) -> bool { return random_() % one_in == 0; }
  auto any() -> int { return static_cast<int>(random_() % probes_.size()); }
  // Durations of every order: within a tick up to beyond the wheel's reach.
  auto span() -> Nanos {
    static constexpr Nanos scales[] = {5ms, 30ms, 700ms, 45s, 50min, 48h, 24h * 130};
    return Nanos{static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(scales[random_() % 7].count()))};
  }
  void make(int id) {
    const auto at = static_cast<std::size_t>(id);
    if (probes_.size() <= at) probes_.resize(at + 1);
    probes_[at] = std::make_unique<Probe>([this, id] { fired(id); });
  }
  void mutate() {
    const int id = any();
    const auto at = static_cast<std::size_t>(id);
    if (chance(6)) {
      model_.disarm(id);
      wheel_.disarm(*probes_[at]);
    } else if (chance(12) && id != in_callback_) {  // nobody destroys a timer in its own callback
      model_.disarm(id);
      make(id);
    } else {
      const MonoTime deadline = chance(20) ? now_ - span() : now_ + span();
      const MonoTime next_tick = start + ((now_ - start) / tick + 1) * tick;
      model_.arm(id, deadline > now_ ? deadline : next_tick);
      wheel_.arm(*probes_[at], deadline);
    }
    EXPECT_EQ(probes_[at]->armed(), model_.is_armed(id));
  }
  void fired(int id) {
    ASSERT_TRUE(model_.is_armed(id)) << "fired without being armed";
    const MonoTime due = model_.due(id);
    EXPECT_LE(due, target_) << "early by " << (due - target_).count() << " ns";
    EXPECT_GT(due + tick, now_) << "after one that is due a tick later";
    // Within a jump over many ticks, the wheel's time is that of the tick it fires.
    now_ = std::max(now_, start + (due - start + tick - 1ns) / tick * tick);
    model_.disarm(id);
    in_callback_ = id;
    for (auto more = random_() % 3; more > 0; --more) mutate();
    in_callback_ = -1;
  }
  void advance(MonoTime to) {
    target_ = to;
    wheel_.advance(to);
    now_ = to;
    const auto soonest = model_.soonest();
    const auto next = wheel_.next();
    ASSERT_EQ(next.has_value(), soonest.has_value());
    if (!soonest) return;
    EXPECT_GT(*soonest + tick, now_) << "late by " << (now_ - *soonest).count() << " ns";
    EXPECT_GT(*next, now_) << "whoever sleeps until then would spin";
    EXPECT_LT(*next, *soonest + 2 * tick) << "whoever sleeps until then would miss it";
  }

  std::mt19937 random_;
  std::vector<std::unique_ptr<Probe>> probes_;
  TimerWheel wheel_;
  Model model_;
  MonoTime now_ = start;
  MonoTime target_ = start;
  int in_callback_ = -1;
};

TEST(TimerWheel, DoesWhatASortedListWouldWhateverHappens) {
  for (unsigned seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Story(seed).run(2000);
  }
}

// As the loop uses it: sleep until next(), advance to then, again.
TEST(TimerWheel, WhoeverSleepsUntilNextMissesNoDeadlineByMoreThanATick) {
  std::mt19937_64 random(7);
  TimerWheel wheel(start);
  std::vector<std::unique_ptr<Probe>> probes;
  MonoTime now = start;
  int fired = 0;
  for (int i = 0; i < 400; ++i) {
    // From 1 ms to some 200 days, evenly over the orders of magnitude.
    const Nanos wait{static_cast<std::int64_t>(1'000'000ull << (random() % 34)) +
                     static_cast<std::int64_t>(random() % 999'983)};
    const MonoTime deadline = start + wait;
    probes.push_back(std::make_unique<Probe>([&, deadline] {
      ++fired;
      EXPECT_GE(now, deadline);
      EXPECT_LT(now, deadline + tick);
    }));
    wheel.arm(*probes.back(), deadline);
  }
  int sleeps = 0;
  while (const auto next = wheel.next()) {
    ASSERT_GT(*next, now) << "it would spin";
    ASSERT_LT(++sleeps, 4000) << "far more wake-ups than a cascade per level and timer";
    now = *next;
    wheel.advance(now);
  }
  EXPECT_EQ(fired, 400);
}

}  // namespace
}  // namespace weir::net
