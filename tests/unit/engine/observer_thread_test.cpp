// An observer's thread while no event comes: what its observer wants done all the same.
#include "engine/observer_thread.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <future>
#include <new>
#include <string>
#include <thread>
#include <variant>
#include <vector>

namespace weir::engine {
namespace {

using namespace std::chrono_literals;

struct Told {
  std::promise<std::function<void()>> wake;
  std::promise<void> flushed;
  std::atomic<bool> due{false};
  std::atomic<bool> ended{false};
};

// Wants flush() only when `due` says so.
class Wanting final : public event::Observer {
 public:
  explicit Wanting(Told& told) : told_(told) {}
  void on_event(const event::Event&, Nanos) override {}
  auto flush() -> bool override {
    if (told_.due.exchange(false)) told_.flushed.set_value();
    return true;
  }
  [[nodiscard]] auto flush_due() const -> std::optional<Nanos> override {
    return told_.due ? std::optional(Nanos{0}) : std::nullopt;
  }
  void set_wake(std::function<void()> wake) override { told_.wake.set_value(std::move(wake)); }
  void on_end() override { told_.ended = true; }

 private:
  Told& told_;
};

TEST(ObserverThread, FlushesWhenItsObserverAsksThoughNothingComes) {
  Told told;
  {
    ObserverThread thread(std::make_unique<Wanting>(told), SystemClock::instance(), [] {});
    thread.add_ring({});
    thread.start();
    const auto wake = told.wake.get_future().get();
    told.due = true;
    wake();
    EXPECT_EQ(told.flushed.get_future().wait_for(20s), std::future_status::ready);
    EXPECT_FALSE(told.ended);
  }
  EXPECT_TRUE(told.ended) << "the last call";
}

// Asks once to be called in a millisecond, and then no more.
class Waiting final : public event::Observer {
 public:
  explicit Waiting(std::promise<void>& flushed) : flushed_(flushed) {}
  void on_event(const event::Event&, Nanos) override {}
  auto flush() -> bool override {
    done_ = true;
    flushed_.set_value();
    return true;
  }
  [[nodiscard]] auto flush_due() const -> std::optional<Nanos> override {
    if (done_) return std::nullopt;
    return asked_++ < 2 ? Nanos{1ms} : Nanos{0};
  }

 private:
  std::promise<void>& flushed_;
  bool done_ = false;
  mutable int asked_ = 0;
};

TEST(ObserverThread, SleepsNoLongerThanItsObserverMay) {
  std::promise<void> flushed;
  ObserverThread thread(std::make_unique<Waiting>(flushed), SystemClock::instance(), [] {});
  thread.add_ring({});
  thread.start();
  EXPECT_EQ(flushed.get_future().wait_for(20s), std::future_status::ready);
}

// Takes each event after a while, or only when it is let go.
class Slow final : public event::Observer {
 public:
  Slow(std::chrono::milliseconds each, std::shared_future<void> until) : each_(each), until_(std::move(until)) {}
  void on_event(const event::Event&, Nanos) override {
    if (until_.valid()) until_.wait();
    std::this_thread::sleep_for(each_);  // an output that is slow
  }
  auto flush() -> bool override { return true; }

 private:
  std::chrono::milliseconds each_;
  std::shared_future<void> until_;
};

void publish_events(ObserverThread& thread, int count) {
  auto& ring = *thread.rings()[0];
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(ring.reserve(1, 0));
    ring.push(event::Event{}, event::EventKind::chunk_read);
  }
  ring.publish();
}

// Has all that it wants after the first event.
class Satisfied final : public event::Observer {
 public:
  explicit Satisfied(Told& told) : told_(told) {}
  void on_event(const event::Event&, Nanos) override {}
  auto flush() -> bool override { return false; }
  void on_end() override { told_.ended = true; }

 private:
  Told& told_;
};

TEST(ObserverThread, TellsTheEndAlsoToOneThatTakesNoMore) {
  Told told;
  ObserverThread thread(std::make_unique<Satisfied>(told), SystemClock::instance(), [] {});
  thread.add_ring({.mask = ~event::EventMask{}});
  thread.start();
  publish_events(thread, 1);
  while (!thread.is_deaf()) std::this_thread::yield();
  EXPECT_FALSE(told.ended);
  EXPECT_TRUE(thread.finish(10s));
  EXPECT_TRUE(told.ended);
}

TEST(ObserverThread, IsWaitedForAsLongAsItGoesOn) {
  ObserverThread thread(std::make_unique<Slow>(100ms, std::shared_future<void>()), SystemClock::instance(), [] {});
  thread.add_ring({.mask = ~event::EventMask{}});
  thread.start();
  publish_events(thread, 12);
  EXPECT_TRUE(thread.finish(1s)) << "1.2 s in all, never a second without an event";
}

// Finds no memory for its second event, nor for the gap at first.
class Forgetful final : public event::Observer {
 public:
  explicit Forgetful(std::vector<std::string>& told) : told_(told) {}
  void on_event(const event::Event& event, Nanos) override {
    ++calls_;
    if (calls_ == 2 || calls_ == 3) throw std::bad_alloc();
    const auto* gap = std::get_if<event::Gap>(&event.what);
    told_.push_back(gap == nullptr ? "event" : fmt::format("gap of {}: {}", gap->events, gap->error));
  }
  auto flush() -> bool override { return true; }

 private:
  std::vector<std::string>& told_;
  int calls_ = 0;
};

TEST(ObserverThread, TellsAsAGapWhatItsObserverHadNoMemoryFor) {
  std::vector<std::string> told;
  ObserverThread thread(std::make_unique<Forgetful>(told), SystemClock::instance(), [] {});
  thread.add_ring({.mask = ~event::EventMask{}});
  publish_events(thread, 4);
  thread.start();
  EXPECT_TRUE(thread.finish(20s));
  EXPECT_EQ(told, (std::vector<std::string>{"event", fmt::format("gap of 2: {}", ENOMEM), "event"}));
}

TEST(ObserverThread, IsNotWaitedForWhenItsOutputIsStuck) {
  std::promise<void> let_go;
  // It is left behind with all that it uses, as by a process that ends.
  static ObserverThread* thread;
  thread = new ObserverThread(std::make_unique<Slow>(0ms, let_go.get_future().share()), SystemClock::instance(), [] {});
  thread->add_ring({.mask = ~event::EventMask{}});
  thread->start();
  publish_events(*thread, 1);
  EXPECT_FALSE(thread->finish(50ms));
  let_go.set_value();
  while (!thread->has_ended()) std::this_thread::yield();
}

}  // namespace
}  // namespace weir::engine
