#include "net/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "net/system_calls.h"

namespace weir::net {
namespace {

using namespace std::chrono_literals;

class Handler final : public ReadyHandler {
 public:
  explicit Handler(std::function<void(std::uint32_t)> then = {}) : then_(std::move(then)) {}
  void on_ready(std::uint32_t events) override {
    calls.push_back(events);
    if (then_) then_(events);
  }
  std::vector<std::uint32_t> calls;

 private:
  std::function<void(std::uint32_t)> then_;
};

class Again final : public Rerun {
 public:
  explicit Again(std::function<void()> then) : then_(std::move(then)) {}
  void on_rerun() override { then_(); }

 private:
  std::function<void()> then_;
};

class Ring final : public Alarm {
 public:
  explicit Ring(std::function<void()> then) : then_(std::move(then)) {}
  void on_alarm() override { then_(); }

 private:
  std::function<void()> then_;
};

class Grave final : public Disposable {
 public:
  explicit Grave(std::function<void()> at_end) : at_end_(std::move(at_end)) {}
  ~Grave() override { at_end_(); }
  Grave(const Grave&) = delete;
  auto operator=(const Grave&) -> Grave& = delete;

 private:
  std::function<void()> at_end_;
};

struct Pair {
  Pair() {
    std::array<int, 2> fds{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) != 0) std::abort();
    ours.reset(fds[0]);
    theirs.reset(fds[1]);
  }
  void send(std::string_view text = "x") const {
    ASSERT_EQ(::send(theirs.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  Fd ours;
  Fd theirs;
};

class EventLoopTest : public testing::Test {
 protected:
  void turn() { loop_->run_once(0ns); }
  ManualClock clock_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::create(clock_).value();
};

TEST_F(EventLoopTest, TellsOfAnEdgeOnceAndOfTheNextAgain) {
  const Pair pair;
  Handler handler;
  ASSERT_TRUE(loop_->watch(pair.ours.get(), handler, EPOLLIN | EPOLLET));
  turn();
  EXPECT_TRUE(handler.calls.empty()) << "nothing came yet";
  pair.send();
  turn();
  ASSERT_EQ(handler.calls.size(), 1u);
  EXPECT_TRUE(handler.calls[0] & EPOLLIN);
  turn();
  EXPECT_EQ(handler.calls.size(), 1u) << "the byte is still unread, but that is no news";
  pair.send();
  turn();
  EXPECT_EQ(handler.calls.size(), 2u);
}

TEST_F(EventLoopTest, StreamEventsCoverWhatARelayNeedsToHear) {
  Pair pair;
  Handler handler;
  ASSERT_TRUE(loop_->watch(pair.ours.get(), handler, EventLoop::stream_events));
  turn();
  ASSERT_EQ(handler.calls.size(), 1u);
  EXPECT_EQ(handler.calls[0], static_cast<std::uint32_t>(EPOLLOUT));
  ::shutdown(pair.theirs.get(), SHUT_WR);
  turn();
  ASSERT_EQ(handler.calls.size(), 2u);
  EXPECT_TRUE(handler.calls[1] & EPOLLRDHUP);
  pair.theirs.reset();
  turn();
  ASSERT_EQ(handler.calls.size(), 3u);
  EXPECT_TRUE(handler.calls[2] & EPOLLHUP);
}

// Both descriptors are ready in one batch; whoever is told first ends the other and gives its slot to
// a newcomer, for whom nothing has come. Without generations the newcomer would hear of it.
TEST_F(EventLoopTest, AnEventOfAForgottenDescriptorNeverReachesWhoGotItsSlot) {
  std::array<Pair, 2> pairs;
  const Pair fresh;
  std::array<WatchToken, 2> tokens;
  WatchToken fresh_token;
  Handler newcomer;
  int told = 0;
  const auto end_the_other = [&](std::size_t other) {
    ++told;
    loop_->forget(tokens[other]);
    pairs[other].ours.reset();
    fresh_token = loop_->watch(fresh.ours.get(), newcomer, EPOLLIN | EPOLLET).value();
    EXPECT_EQ(fresh_token.slot, tokens[other].slot) << "the test means to reuse the slot";
  };
  Handler first([&](std::uint32_t) { end_the_other(1); });
  Handler second([&](std::uint32_t) { end_the_other(0); });
  tokens[0] = loop_->watch(pairs[0].ours.get(), first, EPOLLIN | EPOLLET).value();
  tokens[1] = loop_->watch(pairs[1].ours.get(), second, EPOLLIN | EPOLLET).value();
  pairs[0].send();
  pairs[1].send();
  turn();
  EXPECT_EQ(told, 1) << "one of them was ended before its turn came";
  EXPECT_TRUE(newcomer.calls.empty()) << "it heard of another's byte";
  EXPECT_EQ(loop_->counters().stale_events, 1u);

  fresh.send();
  turn();
  EXPECT_EQ(newcomer.calls.size(), 1u) << "its own news still reach it";
}

TEST_F(EventLoopTest, AnOldTokenCannotForgetTheNewOwner) {
  const Pair old_pair;
  const Pair new_pair;
  Handler handler;
  const WatchToken old_token = loop_->watch(old_pair.ours.get(), handler, EPOLLIN | EPOLLET).value();
  loop_->forget(old_token);
  Handler owner;
  const WatchToken new_token = loop_->watch(new_pair.ours.get(), owner, EPOLLIN | EPOLLET).value();
  ASSERT_EQ(new_token.slot, old_token.slot);
  loop_->forget(old_token);
  new_pair.send();
  turn();
  EXPECT_EQ(owner.calls.size(), 1u);
}

// epoll follows the open file: while another descriptor of it lives, closing ours ends nothing.
TEST_F(EventLoopTest, UnwatchEndsWhatAnotherDescriptorKeepsAlive) {
  Pair pair;
  const Fd elsewhere(::dup(pair.ours.get()));
  Handler handler;
  const WatchToken token = loop_->watch(pair.ours.get(), handler, EPOLLIN | EPOLLET).value();
  loop_->unwatch(token, pair.ours.get());
  pair.ours.reset();
  pair.send();
  turn();
  EXPECT_TRUE(handler.calls.empty());
  EXPECT_EQ(loop_->counters().events, 0u) << "the kernel was told to forget it";
}

TEST_F(EventLoopTest, WhatCannotBeWatchedIsRefusedAndTakesNoSlot) {
  const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  Handler handler;
  const auto refused = loop_->watch(file.get(), handler, EPOLLIN);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "cannot watch a descriptor: Operation not permitted");
  EXPECT_EQ(refused.error().code, EPERM);
  const Pair pair;
  const auto first = loop_->watch(pair.ours.get(), handler, EPOLLIN | EPOLLET);
  EXPECT_EQ(first.value().slot, 0u);
}

TEST_F(EventLoopTest, RunAgainIsAShareATurn) {
  std::string order;
  Again* greedy_again = nullptr;
  Again greedy([&] {
    order += 'g';
    loop_->run_again(*greedy_again);
  });
  greedy_again = &greedy;
  Again modest([&] { order += 'm'; });
  loop_->run_again(greedy);
  loop_->run_again(modest);
  loop_->run_again(greedy);  // asked twice, still once in the list
  turn();
  EXPECT_EQ(order, "gm");
  EXPECT_TRUE(greedy.queued());
  EXPECT_FALSE(modest.queued());
  turn();
  turn();
  EXPECT_EQ(order, "gmgg");
  loop_->cancel(greedy);
}

TEST_F(EventLoopTest, WhoHasWorkLeftDoesNotSleep) {
  int runs = 0;
  Again again([&] { ++runs; });
  loop_->run_again(again);
  loop_->run_once(std::nullopt);  // would wait for ever
  EXPECT_EQ(runs, 1);
}

TEST_F(EventLoopTest, ManyThatRunAgainTakeNoMoreThanTheirShareOfATurn) {
  std::string order;
  const auto takes_long = [&](char name) {
    return [&, name] {
      order += name;
      clock_.advance(1500us);
    };
  };
  Again first(takes_long('1'));
  Again second(takes_long('2'));
  Again third(takes_long('3'));
  Again fourth(takes_long('4'));
  for (Again* each : {&first, &second, &third}) loop_->run_again(*each);
  turn();
  EXPECT_EQ(order, "12");
  EXPECT_TRUE(third.queued());
  loop_->run_again(fourth);
  loop_->run_once(std::nullopt);  // nothing is waited for
  EXPECT_EQ(order, "1234") << "who is left comes first";
  loop_->run_again(first);
  loop_->run_again(second);
  loop_->run_again(third);
  turn();
  loop_->cancel(third);
  turn();
  EXPECT_EQ(order, "123412");
}

TEST_F(EventLoopTest, ACancelledRerunDoesNotRunWhoeverCancelsIt) {
  int ran = 0;
  Again victim([&] { ++ran; });
  loop_->run_again(victim);
  loop_->cancel(victim);
  EXPECT_FALSE(victim.queued());
  turn();
  EXPECT_EQ(ran, 0);

  // One that runs earlier in the same turn.
  Again killer([&] { loop_->cancel(victim); });
  loop_->run_again(killer);
  loop_->run_again(victim);
  turn();
  EXPECT_EQ(ran, 0);

  // Cancelled and queued anew by an earlier one: next turn, once.
  Again mover([&] {
    loop_->cancel(victim);
    loop_->run_again(victim);
  });
  loop_->run_again(mover);
  loop_->run_again(victim);
  turn();
  EXPECT_EQ(ran, 0);
  turn();
  EXPECT_EQ(ran, 1);
}

TEST_F(EventLoopTest, FreesWaitForTheVeryEndOfTheTurn) {
  std::string order;
  loop_->set_end_of_turn([&] { order += "hook "; });
  Again dies([&] {
    loop_->free_later(std::make_unique<Grave>([&] { order += "freed "; }));
    order += "callback ";
  });
  loop_->run_again(dies);
  loop_->post([&] { order += "post "; });
  turn();
  EXPECT_EQ(order, "callback post hook freed ");
}

TEST_F(EventLoopTest, ATurnGoesFromEventsToFrees) {
  std::string order;
  const Pair pair;
  Handler handler([&](std::uint32_t) { order += "event "; });
  ASSERT_TRUE(loop_->watch(pair.ours.get(), handler, EPOLLIN | EPOLLET));
  Again again([&] { order += "rerun "; });
  Ring ring([&] { order += "alarm "; });
  loop_->run_again(again);
  loop_->alarms().set(ring, loop_->now());
  loop_->post([&] { order += "post "; });
  loop_->set_end_of_turn([&] { order += "end"; });
  pair.send();
  turn();
  EXPECT_EQ(order, "event rerun alarm post end");
}

TEST_F(EventLoopTest, PostsOfManyThreadsAllRunOnTheLoopInEachThreadsOrder) {
  constexpr int threads = 4;
  constexpr int posts = 500;
  std::array<std::vector<int>, threads> seen;
  int left = threads * posts;
  const auto home = std::this_thread::get_id();
  std::vector<std::thread> posting;
  for (std::size_t t = 0; t < threads; ++t) {
    posting.emplace_back([&, t] {
      for (int i = 0; i < posts; ++i) {
        loop_->post([&, t, i] {
          EXPECT_EQ(std::this_thread::get_id(), home);
          seen[t].push_back(i);
          if (--left == 0) loop_->stop();
        });
      }
    });
  }
  loop_->run();  // ends only if the last post, too, woke it
  for (auto& thread : posting) thread.join();
  for (const auto& each : seen) {
    ASSERT_EQ(each.size(), static_cast<std::size_t>(posts));
    EXPECT_TRUE(std::is_sorted(each.begin(), each.end()));
  }
}

// A loop that finds the task before it reads the wake-up can be gone while post() or stop() still returns:
// ThreadSanitizer knows of whatever they would still touch.
TEST_F(EventLoopTest, ALoopMayEndOnceItHasRunTheLastTaskOfOthers) {
  for (int round = 0; round < 300; ++round) {
    auto loop = EventLoop::create(SystemClock::instance()).value();
    bool ran = false;
    std::thread posting([&ran, loop = loop.get()] { loop->post([&ran] { ran = true; }); });
    while (!ran) loop->run_once(0ns);  // busy, so that it comes between the task and its wake-up
    loop.reset();
    posting.join();

    auto stopped = EventLoop::create(SystemClock::instance()).value();
    std::function<void()> spin = [&spin, loop = stopped.get()] { loop->post(spin); };
    stopped->post(spin);
    std::thread stopping([loop = stopped.get()] { loop->stop(); });
    stopped->run();
    stopped.reset();
    stopping.join();
  }
}

TEST_F(EventLoopTest, ATaskThatPostsItselfLeavesTheTurnToOthers) {
  int runs = 0;
  std::function<void()> task = [&] {
    ++runs;
    loop_->post(task);
  };
  loop_->post(task);
  turn();
  EXPECT_EQ(runs, 1);
  turn();
  EXPECT_EQ(runs, 2);
}

TEST_F(EventLoopTest, LoopTimeIsReadOnceATurnAfterWaiting) {
  const MonoTime before = loop_->now();
  Again again([&] { clock_.advance(1s); });
  clock_.advance(5s);
  EXPECT_EQ(loop_->now(), before);
  loop_->run_again(again);
  turn();
  EXPECT_EQ(loop_->now(), before + 5s);
}

// How the loop sleeps where the kernel has epoll_pwait2(2), where it is too old (before 5.11), and
// where a container's filter refuses it.
class Sleeping : public testing::TestWithParam<int> {
 protected:
  Sleeping() {
    test::pwait2_error = GetParam();
    test::pwait2_calls = 0;
  }
  ~Sleeping() override { test::pwait2_error = 0; }
};

TEST_P(Sleeping, EndsAtTheAlarmNotBeforeAndNotFarBehind) {
  const SystemClock& clock = SystemClock::instance();
  const auto loop = EventLoop::create(clock).value();
  for (const Nanos wait : {Nanos{2ms}, Nanos{700us}}) {
    MonoTime rung{};
    Ring ring([&] { rung = clock.mono(); });
    const MonoTime when = clock.mono() + wait;
    loop->alarms().set(ring, when);
    for (int turns = 0; ring.is_set() && turns < 20; ++turns) loop->run_once(std::nullopt);
    EXPECT_FALSE(ring.is_set());
    EXPECT_GE(rung, when);
    EXPECT_LT(rung, when + 2s) << "it slept through its alarm";
  }
  // Refused once, it is not asked again.
  EXPECT_EQ(test::pwait2_calls.load() == 1, GetParam() != 0);
}

// An alarm that is far ahead has the timer armed; one that comes sooner must not wait for it.
TEST_P(Sleeping, EndsAtAnAlarmSoonerThanTheOneItSleptFor) {
  const SystemClock& clock = SystemClock::instance();
  const auto loop = EventLoop::create(clock).value();
  Ring far([] {});
  Ring near([] {});
  loop->alarms().set(far, clock.mono() + 1h);
  loop->post([] {});
  loop->run_once(std::nullopt);  // the post ends it; the timer stays armed for the hour
  const MonoTime when = clock.mono() + 1ms;
  loop->alarms().set(near, when);
  for (int turns = 0; near.is_set() && turns < 20; ++turns) loop->run_once(std::nullopt);
  EXPECT_FALSE(near.is_set());
  EXPECT_TRUE(far.is_set());
  EXPECT_GE(clock.mono(), when);
  loop->alarms().clear(far);
}

// The timer of an alarm that was taken back ends one wait in vain; the loop then sleeps for what is due.
TEST_P(Sleeping, GoesOnBehindAnAlarmThatWasTakenBack) {
  const SystemClock& clock = SystemClock::instance();
  const auto loop = EventLoop::create(clock).value();
  Ring gone([] {});
  Ring due([] {});
  loop->alarms().set(gone, clock.mono() + 1ms);
  loop->post([] {});
  loop->run_once(std::nullopt);
  loop->alarms().clear(gone);
  const MonoTime when = clock.mono() + 5ms;
  loop->alarms().set(due, when);
  int turns = 0;
  for (; due.is_set() && turns < 20; ++turns) loop->run_once(std::nullopt);
  EXPECT_FALSE(due.is_set());
  EXPECT_GE(clock.mono(), when);
  EXPECT_LE(turns, 3) << "it did not sleep";
}

TEST_P(Sleeping, EndsWhenSomethingComes) {
  const auto loop = EventLoop::create(SystemClock::instance()).value();
  const Pair pair;
  Handler handler;
  ASSERT_TRUE(loop->watch(pair.ours.get(), handler, EPOLLIN | EPOLLET));
  loop->run_once(0ns);
  EXPECT_TRUE(handler.calls.empty());
  pair.send();
  loop->run_once(std::nullopt);
  EXPECT_EQ(handler.calls.size(), 1u);
}

TEST_P(Sleeping, EndsTheSameWhereItAsksForEventsFirst) {
  const SystemClock& clock = SystemClock::instance();
  const auto loop = EventLoop::create(clock).value();
  loop->poll_before_sleep(1ms);
  const Pair pair;
  Handler handler;
  ASSERT_TRUE(loop->watch(pair.ours.get(), handler, EPOLLIN | EPOLLET));
  for (int i = 0; i < 20; ++i) {  // soon it asks
    pair.send();
    loop->run_once(std::nullopt);
  }
  EXPECT_EQ(handler.calls.size(), 20u);
  for (const Nanos wait : {Nanos{100us}, Nanos{5ms}}) {  // within what it asks for, and behind it
    Ring ring([] {});
    const MonoTime when = clock.mono() + wait;
    loop->alarms().set(ring, when);
    for (int turns = 0; ring.is_set() && turns < 20; ++turns) loop->run_once(std::nullopt);
    EXPECT_FALSE(ring.is_set());
    EXPECT_GE(clock.mono(), when);
  }
}

TEST_P(Sleeping, EndsAfterTheLongestWaitItWasGiven) {
  const auto loop = EventLoop::create(SystemClock::instance()).value();
  const MonoTime before = SystemClock::instance().mono();
  loop->run_once(3ms);
  loop->run_once(3ms);
  EXPECT_GE(SystemClock::instance().mono() - before, 6ms);
}

TEST_P(Sleeping, EndsForAPostAndForStop) {
  const auto loop = EventLoop::create(SystemClock::instance()).value();
  bool ran = false;
  std::thread other([&] {
    loop->post([&] { ran = true; });
    loop->stop();
  });
  loop->run();
  other.join();
  loop->run_once(0ns);  // stop may have come between two looks at the posts
  EXPECT_TRUE(ran);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Sleeping, testing::Values(0, ENOSYS, EPERM), [](const auto& kernel) -> std::string {
  return kernel.param == 0 ? "WithPwait2" : kernel.param == ENOSYS ? "BeforePwait2" : "FilteredPwait2";
});

}  // namespace
}  // namespace weir::net
