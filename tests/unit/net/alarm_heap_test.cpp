#include "net/alarm_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace weir::net {
namespace {

using namespace std::chrono_literals;

constexpr MonoTime epoch{1000s};

class Probe final : public Alarm {
 public:
  explicit Probe(std::function<void()> then = {}) : then_(std::move(then)) {}
  void on_alarm() override {
    ++rung;
    if (then_) then_();
  }
  int rung = 0;

 private:
  std::function<void()> then_;
};

TEST(AlarmHeap, RingsToTheNanosecondAndOnce) {
  AlarmHeap heap;
  Probe probe;
  heap.set(probe, epoch + 41ns);
  EXPECT_EQ(heap.next(), epoch + 41ns);
  heap.advance(epoch + 40ns);
  EXPECT_EQ(probe.rung, 0);
  heap.advance(epoch + 41ns);
  EXPECT_EQ(probe.rung, 1);
  EXPECT_FALSE(probe.is_set());
  EXPECT_EQ(heap.next(), std::nullopt);
  heap.advance(epoch + 1h);
  EXPECT_EQ(probe.rung, 1);
}

TEST(AlarmHeap, RingsInOrderOfTimeWhateverTheOrderOfSetting) {
  AlarmHeap heap;
  std::vector<int> order;
  std::vector<std::unique_ptr<Probe>> probes;
  for (const int at : {5, 1, 4, 2, 3}) {
    probes.push_back(std::make_unique<Probe>([&order, at] { order.push_back(at); }));
    heap.set(*probes.back(), epoch + at * 1ms);
  }
  heap.advance(epoch + 1s);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4, 5}));
}

TEST(AlarmHeap, AnAlarmThatSetsItselfToThePastStarvesNobody) {
  AlarmHeap heap;
  Probe* self = nullptr;
  Probe greedy([&] { heap.set(*self, epoch - 1h); });
  self = &greedy;
  Probe patient;
  heap.set(greedy, epoch);
  heap.set(patient, epoch);
  heap.advance(epoch);
  EXPECT_EQ(greedy.rung, 1) << "its next time is the next turn";
  EXPECT_EQ(patient.rung, 1);
  heap.advance(epoch);
  EXPECT_EQ(greedy.rung, 2);
}

TEST(AlarmHeap, ACallbackMayClearMoveAndDestroyOthersThatAreDueToo) {
  AlarmHeap heap;
  Probe cleared;
  Probe moved;
  auto destroyed = std::make_unique<Probe>();
  Probe first([&] {
    heap.clear(cleared);
    heap.set(moved, epoch + 1s);
    destroyed.reset();
  });
  heap.set(first, epoch);
  heap.set(cleared, epoch + 1ns);
  heap.set(moved, epoch + 2ns);
  heap.set(*destroyed, epoch + 3ns);
  heap.advance(epoch + 1ms);
  EXPECT_EQ(first.rung, 1);
  EXPECT_EQ(cleared.rung, 0);
  EXPECT_EQ(moved.rung, 0);
  EXPECT_FALSE(cleared.is_set());
  heap.advance(epoch + 1s);
  EXPECT_EQ(moved.rung, 1);
}

TEST(AlarmHeap, ADestroyedHeapLetsGoEvenOfThoseThatAreRinging) {
  auto heap = std::make_unique<AlarmHeap>();
  Probe waits;
  heap->set(waits, epoch);
  heap.reset();
  EXPECT_FALSE(waits.is_set());
}

// The heap and a sorted list with the same random steps.
class Story {
 public:
  explicit Story(unsigned seed) : random_(seed) {
    for (int id = 0; id < 50; ++id) probes_.push_back(make(id));
  }
  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      mutate();
      if (random_() % 3 == 0) advance();
      EXPECT_EQ(heap_.next(), model_.empty() ? std::nullopt : std::optional(model_.begin()->first));
    }
  }

 private:
  using Model = std::multimap<MonoTime, int>;

  auto make(int id) -> std::unique_ptr<Probe> {
    return std::make_unique<Probe>([this, id] { rung(id); });
  }
  void forget(int id) {
    std::erase_if(model_, [id](const auto& entry) { return entry.second == id; });
    std::erase_if(expected_, [id](const auto& entry) { return entry.second == id; });
  }
  void mutate() {
    const int id = static_cast<int>(random_() % probes_.size());
    Probe& probe = *probes_[static_cast<std::size_t>(id)];
    forget(id);
    if (random_() % 5 == 0) {
      heap_.clear(probe);
    } else if (random_() % 8 == 0 && id != in_callback_) {
      probes_[static_cast<std::size_t>(id)] = make(id);
    } else {
      const MonoTime when = now_ + Nanos{static_cast<std::int64_t>(random_() % 2000) - 300};
      model_.emplace(when, id);
      heap_.set(probe, when);
    }
  }
  void advance() {
    now_ += Nanos{static_cast<std::int64_t>(random_() % 500)};
    // Exactly those that are due now, in order; what callbacks set belongs to the next time.
    const auto due_end = model_.upper_bound(now_);
    expected_.assign(model_.begin(), due_end);
    model_.erase(model_.begin(), due_end);
    heap_.advance(now_);
    EXPECT_TRUE(expected_.empty()) << expected_.size() << " were due and did not ring";
  }
  void rung(int id) {
    ASSERT_FALSE(expected_.empty()) << "rang without being due";
    // Those of one time may ring in any order among themselves.
    const auto found = std::find_if(expected_.begin(), expected_.end(), [id](const auto& e) { return e.second == id; });
    ASSERT_NE(found, expected_.end()) << "rang without being due";
    EXPECT_EQ(found->first, expected_.front().first) << "out of order";
    expected_.erase(found);
    in_callback_ = id;
    for (auto more = random_() % 3; more > 0; --more) mutate();
    in_callback_ = -1;
  }

  std::mt19937 random_;
  std::vector<std::unique_ptr<Probe>> probes_;
  AlarmHeap heap_;
  Model model_;
  std::vector<std::pair<MonoTime, int>> expected_;
  MonoTime now_ = epoch;
  int in_callback_ = -1;
};

TEST(AlarmHeap, DoesWhatASortedListWouldWhateverHappens) {
  for (unsigned seed = 1; seed <= 40 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Story(seed).run(2000);
  }
}

}  // namespace
}  // namespace weir::net
