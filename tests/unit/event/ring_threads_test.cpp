#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <thread>

#include "event/ring.h"

namespace weir::event {
namespace {

using namespace std::chrono_literals;

constexpr EventMask watched = EventKind::chunk_read | EventKind::session_closed;

// A worker and an observer on two threads, with a ring so small that both wait for each other again
// and again. A lost wake-up on either side hangs; ThreadSanitizer sees the rest.
class TwoThreads : public testing::TestWithParam<FullPolicy> {};

TEST_P(TwoThreads, LoseNothingAndSleepThroughNothing) {
  constexpr std::uint64_t count = 40'000;
  const auto signal = std::make_shared<ConsumerSignal>();
  BlockPool blocks;
  EventRing ring({.policy = GetParam(), .mask = watched, .slots = 16, .payload_limit = 4096}, signal);
  std::atomic<bool> room{false};
  ring.set_on_room([&] {
    room.store(true);
    room.notify_one();
  });

  std::atomic<bool> ended{false};
  std::uint64_t accounted = 0;
  std::thread observer([&] {
    const std::function<bool()> still_empty = [&] { return ring.empty() && !ended.load(); };
    bool last_round = false;
    while (true) {
      const bool found = ring.drain([&](Event& event) {
        if (const auto* gap = std::get_if<Gap>(&event.what)) {
          accounted += gap->chunks + gap->events;
        } else {
          ASSERT_EQ(static_cast<std::uint64_t>(event.session), ++accounted);
        }
      }) > 0;
      if (last_round && !found) return;
      last_round = ended.load();
      if (!last_round) signal->wait(found, still_empty);
    }
  });
  const auto wait_for_room = [&] {
    room.wait(false);
    room.store(false);
  };

  std::mt19937 random(1);
  for (std::uint64_t number = 1; number <= count; ++number) {
    const std::size_t size = 1 + random() % 256;
    while (!ring.reserve(2, size)) wait_for_room();
    if (number % 50 == 0) {
      ring.push({MonoTime{}, ProxyId{}, SessionNumber{number}, std::make_shared<const SessionClosed>()},
                EventKind::session_closed);
    } else {
      (void)blocks.space(size);
      ring.push(
          {MonoTime{}, ProxyId{}, SessionNumber{number}, ChunkRead{blocks.commit(size), 0, {}, Direction::upstream}},
          EventKind::chunk_read);
    }
    if (random() % 3 == 0) ring.publish();
  }
  ring.publish();
  while (!ring.producer_is_empty()) {
    wait_for_room();
    ring.publish();
  }
  ended.store(true);
  signal->wake();
  observer.join();
  EXPECT_EQ(accounted, count);
}

INSTANTIATE_TEST_SUITE_P(Policies, TwoThreads, testing::Values(FullPolicy::block, FullPolicy::drop),
                         [](const auto& policy) -> std::string {
                           return policy.param == FullPolicy::block ? "Block" : "Drop";
                         });

// One event at a time, each waited for: were a wake-up lost, the observer would sleep for ever.
TEST(ConsumerSignal, WakesForEveryEventThatComesWhileItSleeps) {
  const auto signal = std::make_shared<ConsumerSignal>();
  std::atomic<int> published{0};
  std::atomic<int> seen{0};
  constexpr int count = 5'000;
  std::thread observer([&] {
    const std::function<bool()> still_empty = [&] { return published.load() == seen.load(); };
    while (seen.load() < count) {
      if (published.load() == seen.load()) signal->wait(false, still_empty);
      seen.store(published.load());
      seen.notify_one();
    }
  });
  for (int i = 1; i <= count; ++i) {
    published.store(i);
    signal->notify(false);
    for (int have = seen.load(); have < i; have = seen.load()) seen.wait(have);
  }
  observer.join();
  EXPECT_EQ(seen.load(), count);
}

TEST(ConsumerSignal, ACollectingObserverSleepsOnUnlessItIsUrgent) {
  using Clock = std::chrono::steady_clock;
  const auto signal = std::make_shared<ConsumerSignal>();
  const auto collects_for = [&](bool urgent) {
    std::atomic<bool> go{false};
    Clock::duration slept{};
    std::thread observer([&] {
      const auto before = Clock::now();
      go.store(true);
      go.notify_one();
      signal->wait(true, [] { return true; });
      slept = Clock::now() - before;
    });
    go.wait(false);
    signal->notify(urgent);
    observer.join();
    return slept;
  };
  EXPECT_GE(collects_for(false), ConsumerSignal::collect_time - 1ms);
  signal->wake();
  const auto before = Clock::now();
  signal->wait(true, [] { return true; });  // a wake that came before counts
  EXPECT_LT(Clock::now() - before, 2s);
}

}  // namespace
}  // namespace weir::event
