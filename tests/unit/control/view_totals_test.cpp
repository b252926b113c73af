#include "control/view_totals.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "event/close_cause.h"

namespace weir::control {
namespace {

using namespace std::chrono_literals;

struct ViewTotalsTest : testing::Test {
  explicit ViewTotalsTest(std::optional<Direction> only = {}) : totals(MonoTime{10s}, only) {}
  void tell(std::uint64_t session, event::What what, MonoTime time = MonoTime{11s}) {
    totals.on_event({.time = time, .proxy = ProxyId{1}, .session = SessionNumber{session}, .what = std::move(what)});
  }
  static auto opened(Nanos took = 5ms) -> event::What {
    event::SessionOpened what{};
    what.connect_time = took;
    return std::make_shared<const event::SessionOpened>(what);
  }
  static auto closed(event::CloseReason reason = event::CloseReason::client_fin) -> event::What {
    event::SessionClosed what{};
    what.cause.reason = reason;
    return std::make_shared<const event::SessionClosed>(what);
  }
  auto chunk(Direction direction, std::size_t bytes) -> event::What {
    const std::vector<std::byte> data(bytes);
    return event::ChunkRead{pool.copy(data), 0, std::nullopt, direction};
  }
  BlockPool pool;
  ViewTotals totals;
};

TEST_F(ViewTotalsTest, SumsUpAsTapDoes) {
  tell(1, opened());
  tell(2, opened());
  tell(1, chunk(Direction::upstream, 300));
  tell(1, chunk(Direction::downstream, 40));
  tell(1, closed());
  tell(3, opened());
  EXPECT_THAT(totals.summary(),
              testing::StartsWith("3 sessions (peak 2), 300 B upstream, 40 B downstream, connect p50 5."));
}

TEST_F(ViewTotalsTest, ASessionThatWasOpenBeforeCountsAndItsConnectTimeDoesNot) {
  tell(7, opened(), MonoTime{2s});
  EXPECT_EQ(totals.summary(), "1 session (peak 1), 0 B upstream, 0 B downstream");
}

TEST_F(ViewTotalsTest, AnUpstreamThatWasNotReachedIsCounted) {
  tell(1, closed(event::CloseReason::connect_refused));
  EXPECT_EQ(totals.summary(), "1 session (peak 1), 0 B upstream, 0 B downstream, 1 upstream failure");
}

TEST_F(ViewTotalsTest, WhatAFullRingKeptIsNotShownAndNobodyIsCountedTwice) {
  tell(1, opened(), MonoTime{2s});
  tell(1, event::Gap{.chunks = 3, .bytes = 3000, .events = 1});
  tell(2, chunk(Direction::upstream, 10));
  tell(2, chunk(Direction::upstream, 10));
  EXPECT_EQ(
      totals.summary(),
      "2 sessions (peak 1), 20 B upstream, 0 B downstream, 3 chunks (3.00 kB) not shown as the view was too slow");
}

struct OneDirection : ViewTotalsTest {
  OneDirection() : ViewTotalsTest(Direction::downstream) {}
};

TEST_F(OneDirection, BytesThatTheViewDoesNotGetAreNotToldAsNone) {
  tell(1, chunk(Direction::downstream, 10));
  EXPECT_EQ(totals.summary(), "1 session (peak 1), 10 B downstream");
}

}  // namespace
}  // namespace weir::control
