// Long jobs in turns of the loop.
#include "control/turns.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace weir::control {
namespace {

class SayingLog final : public Log {
 public:
  void write(LogLevel, std::string_view text, std::span<const LogField>) override { said.emplace_back(text); }
  [[nodiscard]] auto wants(LogLevel) const -> bool override { return true; }
  std::vector<std::string> said;
};

class TurnsTest : public testing::Test {
 protected:
  // A job of `steps` steps, each of which takes a quarter of what a turn may take.
  void add(const std::string& name, int steps) {
    turns_.add(name, [this, name, left = steps]() mutable {
      clock_.advance(Turns::longest / 4);
      done_ += name;
      return --left > 0;
    });
  }

  ManualClock clock_;
  SayingLog log_;
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create(clock_);
  Turns turns_{*loop_, log_};
  std::string done_;
};

TEST_F(TurnsTest, AShortJobIsDoneAtOnce) {
  add("a", 3);
  EXPECT_EQ(done_, "aaa");
  EXPECT_EQ(turns_.waiting(), 0u);
}

TEST_F(TurnsTest, ALongJobTakesItsShareOfEachTurnAndOthersGoOn) {
  add("a", 10);
  EXPECT_EQ(done_, "aaaa");
  bool posted = false;
  loop_->post([&] { posted = true; });
  loop_->run_once(std::nullopt);  // nothing is waited for
  EXPECT_EQ(done_, "aaaaaaaa");
  EXPECT_TRUE(posted);
  loop_->run_once(std::nullopt);
  EXPECT_EQ(done_, "aaaaaaaaaa");
  EXPECT_EQ(turns_.waiting(), 0u);
}

TEST_F(TurnsTest, OneJobAfterTheOtherInTheirOrder) {
  add("a", 6);
  add("b", 3);
  add("c", 1);
  EXPECT_EQ(done_, "aaaa") << "those who come to a busy one wait for their turn";
  while (turns_.waiting() > 0) loop_->run_once(std::nullopt);
  EXPECT_EQ(done_, "aaaaaabbbc");
}

TEST_F(TurnsTest, InTurnsAShortJobDoesNotWaitForALongOne) {
  Turns lists(*loop_, log_, {}, Turns::Order::in_turns);
  const auto job = [&](char name, int steps) {
    lists.add("job", [&, name, left = steps]() mutable {
      clock_.advance(Turns::longest / 2);
      done_ += name;
      return --left > 0;
    });
  };
  job('a', 7);
  job('b', 3);
  job('c', 1);
  while (lists.waiting() > 0) loop_->run_once(std::nullopt);
  EXPECT_EQ(done_, "aabbcabaaaa");
}

TEST_F(TurnsTest, AJobMayAddAnother) {
  turns_.add("outer", [this] {
    done_ += "<";
    add("b", 2);
    done_ += ">";
    return false;
  });
  EXPECT_EQ(done_, "<>bb");
}

TEST_F(TurnsTest, TheNextTurnWaitsForWhatItIsPacedBy) {
  std::vector<std::function<void()>> asked;
  Turns paced(*loop_, log_, [&](std::function<void()> go_on) { asked.push_back(std::move(go_on)); });
  const auto job = [&](char name, int steps) {
    paced.add("job", [&, name, left = steps]() mutable {
      clock_.advance(Turns::longest);
      done_ += name;
      return --left > 0;
    });
  };
  job('a', 3);
  ASSERT_EQ(asked.size(), 1u);
  loop_->run_once(Nanos{0});
  job('b', 1);
  EXPECT_EQ(done_, "a") << "whoever comes waits too";
  asked[0]();
  loop_->run_once(Nanos{0});
  EXPECT_EQ(done_, "aa");
  ASSERT_EQ(asked.size(), 2u);
  asked[1]();
  loop_->run_once(Nanos{0});
  asked[2]();
  loop_->run_once(Nanos{0});
  EXPECT_EQ(done_, "aaab");
  EXPECT_EQ(asked.size(), 3u) << "nobody is asked when all is done";
}

TEST_F(TurnsTest, WhatAStepThrowsEndsItsJobAlone) {
  turns_.add("this one", []() -> bool { throw std::runtime_error("no more"); });
  add("a", 1);
  EXPECT_EQ(log_.said, std::vector<std::string>{"this one failed: no more"});
  EXPECT_EQ(done_, "a");
}

TEST_F(TurnsTest, WhatIsLeftWhenItGoesIsNeverRun) {
  auto own = std::make_unique<Turns>(*loop_, log_);
  own->add("job", [this] {
    clock_.advance(Turns::longest);
    done_ += "x";
    return true;
  });
  own.reset();
  loop_->run_once(Nanos{0});
  EXPECT_EQ(done_, "x");
}

}  // namespace
}  // namespace weir::control
