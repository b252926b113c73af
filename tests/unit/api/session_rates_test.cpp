#include "api/session_rates.h"

#include <gtest/gtest.h>

namespace weir::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const MonoTime start{seconds{1000}};

auto session(std::uint64_t number, Nanos age, std::uint64_t up, std::uint64_t down = 0) -> engine::SessionInfo {
  engine::SessionInfo info;
  info.number = SessionNumber{number};
  info.age = age;
  info.totals[index(Direction::upstream)].bytes = up;
  info.totals[index(Direction::downstream)].bytes = down;
  return info;
}

// The rates of the sessions after one more look.
auto look(SessionRates& rates, Nanos at, std::vector<engine::SessionInfo> sessions)
    -> std::vector<std::optional<SessionRates::Rate>> {
  engine::SessionList list;
  list.sessions = std::move(sessions);
  rates.look(list, start + at);
  std::vector<std::optional<SessionRates::Rate>> all;
  for (const auto& each : list.sessions) all.push_back(rates.of(each));
  return all;
}

TEST(SessionRates, AreWhatCameSinceTheLastLook) {
  SessionRates rates;
  EXPECT_FALSE(look(rates, seconds{0}, {session(1, seconds{10}, 5000)})[0]) << "there was no look before";
  const auto now = look(rates, seconds{2}, {session(1, seconds{12}, 7000, 300)})[0];
  ASSERT_TRUE(now);
  EXPECT_DOUBLE_EQ(now->upstream, 1000);
  EXPECT_DOUBLE_EQ(now->downstream, 150);
}

TEST(SessionRates, OfASessionThatOpenedSinceAreItsOwnWholeTime) {
  SessionRates rates;
  look(rates, seconds{0}, {});
  const auto now = look(rates, seconds{2}, {session(1, milliseconds{500}, 1000), session(2, seconds{9}, 1000)});
  ASSERT_TRUE(now[0]);
  EXPECT_DOUBLE_EQ(now[0]->upstream, 2000);
  EXPECT_FALSE(now[1]) << "it was there, and nobody looked at it";
}

TEST(SessionRates, TwoWhoWatchDoNotSpoilEachOthers) {
  SessionRates rates;
  for (int turn = 0; turn < 5; ++turn) {
    const auto age = seconds{turn};
    const std::uint64_t bytes = 1000 * static_cast<std::uint64_t>(turn);
    const auto first = look(rates, age, {session(1, seconds{10} + age, bytes)})[0];
    const auto second = look(rates, age + milliseconds{1}, {session(1, seconds{10} + age, bytes)})[0];
    if (turn == 0) continue;
    ASSERT_TRUE(first && second);
    EXPECT_NEAR(first->upstream, 1000, 1);
    EXPECT_NEAR(second->upstream, 1000, 2);
  }
}

TEST(SessionRates, ALookLongAgoSaysNothing) {
  SessionRates rates;
  look(rates, seconds{0}, {session(1, seconds{10}, 5000)});
  EXPECT_FALSE(look(rates, seconds{61}, {session(1, seconds{71}, 7000)})[0]);
  EXPECT_TRUE(look(rates, seconds{62}, {session(1, seconds{72}, 7000)})[0]);
}

}  // namespace
}  // namespace weir::api
