// Questions to loops on other threads: what comes back, and what becomes of those who are late.
#include "engine/ask.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "net/places.h"

namespace weir::engine {
namespace {

using namespace std::chrono_literals;
using net::test::wait_until;

// A loop that runs on a thread of its own.
class Answering {
 public:
  Answering() : thread_([loop = loop_.get()] { loop->run(); }) {}
  ~Answering() {
    loop_->stop();
    thread_.join();
  }
  Answering(const Answering&) = delete;
  auto operator=(const Answering&) -> Answering& = delete;
  auto loop() -> net::EventLoop* { return loop_.get(); }

 private:
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create(SystemClock::instance());
  std::thread thread_;
};

// Holds a loop that comes to it until it is opened.
class Gate {
 public:
  ~Gate() { open(); }
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait_for_one() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, 10s, [this] { return waiting_ > 0; }));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

class AskTest : public testing::Test {
 protected:
  void TearDown() override { gate_.open(); }
  template <class Condition>
  auto turn_until(Condition condition) -> bool {
    return wait_until([&] {
      if (!condition()) home_->run_once(5ms);
      return condition();
    });
  }
  auto loops() -> std::vector<net::EventLoop*> { return {one_.loop(), two_.loop()}; }

  std::unique_ptr<net::EventLoop> home_ = *net::EventLoop::create(SystemClock::instance());
  Asks asks_;
  Gate gate_;
  Answering one_;
  Answering two_;
};

TEST_F(AskTest, EveryLoopAnswersOnItsOwnThreadAndAllComeBackAtHome) {
  std::optional<Answers<std::thread::id>> got;
  std::thread::id back;
  asks_.ask<std::thread::id>(
      loops(), {*home_, 10s}, [](std::size_t) { return std::this_thread::get_id(); },
      [&](Answers<std::thread::id> answers) {
        back = std::this_thread::get_id();
        got = std::move(answers);
      });
  EXPECT_FALSE(got) << "nobody waited";
  ASSERT_TRUE(turn_until([&] { return got.has_value(); }));
  EXPECT_FALSE(got->partial);
  ASSERT_EQ(got->each.size(), 2u);
  EXPECT_NE(got->each[0], got->each[1]);
  EXPECT_NE(got->each[0], back);
  EXPECT_EQ(back, std::this_thread::get_id());
  EXPECT_EQ(asks_.under_way(), 0u);
}

TEST_F(AskTest, ALoopAnswersAfterWhatWasPostedToItBefore) {
  std::vector<int> seen;  // on one loop
  std::optional<Answers<std::size_t>> got;
  one_.loop()->post([&] { seen.push_back(1); });
  asks_.ask<std::size_t>(
      {one_.loop()}, {*home_, 10s}, [&](std::size_t) { return seen.size(); },
      [&](Answers<std::size_t> answers) { got = std::move(answers); });
  ASSERT_TRUE(turn_until([&] { return got.has_value(); }));
  EXPECT_EQ(got->each[0], 1u);
}

TEST_F(AskTest, ALateLoopIsLeftOutAndItsAnswerIsNobodys) {
  one_.loop()->post([this] { gate_.pass(); });
  gate_.wait_for_one();
  const auto asked = std::make_shared<std::atomic<int>>(0);
  int called = 0;
  std::optional<Answers<int>> got;
  // The other one has a second to answer in, however busy the machine is.
  asks_.ask<int>(
      loops(), {*home_, 1s}, [asked](std::size_t loop) { return ++*asked, static_cast<int>(loop) + 1; },
      [&](Answers<int> answers) {
        ++called;
        got = std::move(answers);
      });
  ASSERT_TRUE(turn_until([&] { return got.has_value(); }));
  EXPECT_TRUE(got->partial);
  EXPECT_EQ(got->each, (std::vector<std::optional<int>>{std::nullopt, 2}));
  gate_.open();
  bool came = false;
  one_.loop()->post([&] { home_->post([&] { came = true; }); });
  ASSERT_TRUE(turn_until([&] { return came; }));
  EXPECT_EQ(called, 1);
  EXPECT_EQ(asked->load(), 1) << "who is late need not answer any more";
}

TEST_F(AskTest, ALoopThatIsInTheMiddleOfItsAnswerWhenThePatienceEndsHarmsNobody) {
  std::optional<Answers<std::string>> got;
  asks_.ask<std::string>(
      {one_.loop()}, {*home_, 10ms},
      [this](std::size_t) {
        gate_.pass();
        return std::string(1000, 'x');
      },
      [&](Answers<std::string> answers) { got = std::move(answers); });
  gate_.wait_for_one();
  ASSERT_TRUE(turn_until([&] { return got.has_value(); }));
  EXPECT_TRUE(got->partial);
  EXPECT_EQ(got->each[0], std::nullopt);
  gate_.open();
  bool came = false;
  one_.loop()->post([&] { home_->post([&] { came = true; }); });
  ASSERT_TRUE(turn_until([&] { return came; }));
}

TEST_F(AskTest, WhoHasGoneIsNotCalledAndWhatItHeldIsDestroyedAtHome) {
  const auto held = std::make_shared<int>(7);
  bool called = false;
  auto gone = std::make_unique<Asks>();
  gone->ask<int>(
      loops(), {*home_, 10s},
      [this](std::size_t) {
        gate_.pass();
        return 1;
      },
      [&called, held](const Answers<int>&) { called = true; });
  gate_.wait_for_one();
  EXPECT_EQ(held.use_count(), 2);
  gone.reset();
  EXPECT_EQ(held.use_count(), 1);
  gate_.open();
  int came = 0;
  for (net::EventLoop* loop : loops()) {
    loop->post([&] { home_->post([&] { ++came; }); });
  }
  ASSERT_TRUE(turn_until([&] { return came == 2; }));
  EXPECT_FALSE(called);
}

TEST_F(AskTest, AnAnswerMayAskAgain) {
  int rounds = 0;
  std::function<void(Answers<int>)> again = [&](const Answers<int>& answers) {
    rounds += *answers.each[0];
    if (rounds < 100)
      asks_.ask<int>(
          loops(), {*home_, 10s}, [](std::size_t) { return 1; }, again);
  };
  asks_.ask<int>(
      loops(), {*home_, 10s}, [](std::size_t) { return 1; }, again);
  EXPECT_TRUE(turn_until([&] { return rounds == 100; }));
  EXPECT_EQ(asks_.under_way(), 0u);
}

TEST_F(AskTest, NobodyToAskIsAnAnswerAtOnce) {
  bool called = false;
  asks_.ask<int>(
      {}, {*home_, 10s}, [](std::size_t) { return 1; },
      [&](const Answers<int>& answers) { called = !answers.partial && answers.each.empty(); });
  EXPECT_TRUE(called);
}

}  // namespace
}  // namespace weir::engine
