#include "control/leases.h"

#include <gtest/gtest.h>

#include "base/clock.h"

namespace weir::control {
namespace {

using namespace std::chrono_literals;

class LeasesTest : public testing::Test {
 protected:
  void turn(Nanos passed = 0ns) {
    clock_.advance(passed);
    loop_->run_once(0ns);
  }

  ManualClock clock_;
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create(clock_);
  std::vector<std::string> ended_;
  Leases leases_{*loop_, [this](const std::string& id, const std::function<void()>& then) {
                   ended_.push_back(id);
                   then();
                 }};
};

TEST_F(LeasesTest, ALeaseEndsWithItsConnectionInATurnOfItsOwn) {
  auto opened = leases_.open();
  EXPECT_TRUE(leases_.is_held(opened.id));
  opened.stream.reset();
  EXPECT_FALSE(leases_.is_held(opened.id));  // nobody makes an object under it any more
  EXPECT_TRUE(ended_.empty());
  turn();
  EXPECT_EQ(ended_, std::vector{opened.id});
}

TEST_F(LeasesTest, ALeaseEndsOnceWhicheverWayComesFirst) {
  auto opened = leases_.open();
  int told = 0;
  EXPECT_TRUE(leases_.end(opened.id, [&] { ++told; }));
  EXPECT_EQ(ended_.size(), 1u);
  EXPECT_FALSE(leases_.end(opened.id, [&] { ++told; }));
  EXPECT_EQ(told, 1);
  opened.stream.reset();
  turn();
  EXPECT_EQ(ended_.size(), 1u);
}

TEST_F(LeasesTest, NoTwoLeasesHaveOneId) {
  const auto one = leases_.open();
  const auto other = leases_.open();
  EXPECT_NE(one.id, other.id);
  EXPECT_EQ(one.id.size(), 32u);
  EXPECT_EQ(leases_.held().size(), 2u);
}

TEST_F(LeasesTest, TheyAreLimited) {
  std::vector<Leases::Opened> all;
  for (std::size_t i = 0; i < Leases::most_leases; ++i) all.push_back(leases_.open());
  EXPECT_EQ(leases_.open().stream, nullptr);
  all.pop_back();
  EXPECT_NE(leases_.open().stream, nullptr);
}

TEST_F(LeasesTest, TheIdIsSaidFirstAndThenSomethingFromTimeToTime) {
  auto opened = leases_.open();
  int woken = 0;
  EXPECT_EQ(opened.stream->begin([&] { ++woken; }), "event: lease\ndata: {\"lease\":\"" + opened.id + "\"}\n\n");
  EXPECT_EQ(opened.stream->more(1000), "");
  turn(Leases::heartbeat - 1s);
  EXPECT_EQ(woken, 0);
  for (int i = 1; i <= 3; ++i) {
    turn(Leases::heartbeat + 20ms);
    EXPECT_EQ(woken, i);
    EXPECT_EQ(opened.stream->more(1000), ":\n");
    EXPECT_EQ(opened.stream->more(1000), "");
  }
}

TEST_F(LeasesTest, AHalfOpenConnectionIsFoundOutWithinThirtySeconds) {
  const auto opened = leases_.open();
  ASSERT_TRUE(opened.stream->patience().has_value());
  EXPECT_LE(*opened.stream->patience() + Leases::heartbeat, 30s);
}

TEST_F(LeasesTest, NothingIsUndoneWhenTheProcessEnds) {
  auto opened = leases_.open();
  leases_.abandon();
  opened.stream.reset();
  turn();
  EXPECT_TRUE(ended_.empty());
}

}  // namespace
}  // namespace weir::control
