#include "event/ring.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace weir::event {
namespace {

constexpr EventMask everything = EventKind::session_opened | EventKind::chunk_read | EventKind::chunk_written |
                                 EventKind::half_closed | EventKind::session_closed;

class RingTest : public testing::Test {
 protected:
  explicit RingTest(FullPolicy policy = FullPolicy::block)
      : ring_({.policy = policy, .mask = everything, .slots = 8, .payload_limit = 1000},
              std::make_shared<ConsumerSignal>()) {
    ring_.set_on_room([this] { ++room_calls_; });
  }

  // A read of `size` bytes; the session's number tells which it was.
  auto read(std::uint64_t number, std::size_t size = 1) -> Event {
    (void)blocks_.space(size);
    return {MonoTime{}, ProxyId{}, SessionNumber{number}, ChunkRead{blocks_.commit(size), 0, {}, Direction::upstream}};
  }
  static auto closed(std::uint64_t number) -> Event {
    return {MonoTime{}, ProxyId{}, SessionNumber{number}, std::make_shared<const SessionClosed>()};
  }
  void push_read(std::uint64_t number, std::size_t size = 1) { ring_.push(read(number, size), EventKind::chunk_read); }
  void push_closed(std::uint64_t number) { ring_.push(closed(number), EventKind::session_closed); }

  // What the observer is shown, as text: "1 2 c3 gap(2,0,40)": reads, closes, gaps (chunks, events, bytes).
  auto shown() -> std::string {
    std::string text;
    ring_.drain([&](Event& event) {
      if (!text.empty()) text += ' ';
      if (const auto* gap = std::get_if<Gap>(&event.what)) {
        text += fmt::format("gap({},{},{})", gap->chunks, gap->events, gap->bytes);
      } else {
        const bool close = std::holds_alternative<std::shared_ptr<const SessionClosed>>(event.what);
        text += fmt::format("{}{}", close ? "c" : "", static_cast<std::uint64_t>(event.session));
      }
    });
    return text;
  }

  BlockPool blocks_;
  EventRing ring_;
  int room_calls_ = 0;
};

TEST_F(RingTest, ShowsInOrderWhatWasPublishedAndNothingBefore) {
  push_read(1);
  push_closed(2);
  EXPECT_TRUE(ring_.empty());
  EXPECT_EQ(shown(), "");
  ring_.publish();
  EXPECT_FALSE(ring_.empty());
  EXPECT_EQ(shown(), "1 c2");
  EXPECT_TRUE(ring_.empty());
  EXPECT_TRUE(ring_.producer_is_empty());
}

TEST_F(RingTest, GoesRoundManyTimes) {
  for (std::uint64_t i = 1; i <= 100; ++i) {
    ASSERT_TRUE(ring_.reserve(2, 1));
    push_read(i);
    ring_.publish();
    ASSERT_EQ(shown(), std::to_string(i));
  }
}

TEST_F(RingTest, TheObserverLetsGoOfThePayload) {
  std::atomic<std::uint64_t> kept = 0;
  ring_.push({MonoTime{}, ProxyId{}, SessionNumber{1},
              ChunkRead{blocks_.copy(std::as_bytes(std::span("payload")), &kept), 0, {}, Direction::upstream}},
             EventKind::chunk_read);
  ring_.publish();
  EXPECT_GT(kept, 0U);
  ring_.drain([](Event&) {});
  EXPECT_EQ(kept, 0U) << "though nothing has taken its slot yet";
}

TEST_F(RingTest, AReservationCoversTheReadAndItsWrite) {
  // 8 slots: three reads with their writes, and then exactly one more pair.
  for (std::uint64_t i = 1; i <= 3; ++i) {
    ASSERT_TRUE(ring_.reserve(2, 1));
    push_read(i);
    ring_.push({MonoTime{}, ProxyId{}, SessionNumber{i}, ChunkWritten{i, Direction::upstream}},
               EventKind::chunk_written);
  }
  EXPECT_TRUE(ring_.reserve(2, 1));
  push_read(4);
  EXPECT_FALSE(ring_.reserve(2, 1)) << "one slot is left, and a read may need two";
}

TEST_F(RingTest, WithoutRoomTheProducerParksAndIsCalledOnceWhenThereIs) {
  while (ring_.reserve(2, 1)) push_read(1);
  EXPECT_FALSE(ring_.empty()) << "what fills it was handed over, or nobody would ever make room";
  EXPECT_EQ(room_calls_, 0);
  shown();
  EXPECT_EQ(room_calls_, 1);
  EXPECT_TRUE(ring_.reserve(2, 1));
  push_read(2);
  ring_.publish();
  shown();
  EXPECT_EQ(room_calls_, 1) << "nobody was parked this time";
}

TEST_F(RingTest, ThePayloadIsBoundedToo) {
  ASSERT_TRUE(ring_.reserve(2, 600));
  push_read(1, 600);
  EXPECT_FALSE(ring_.reserve(2, 600)) << "1200 of 1000 bytes would wait";
  EXPECT_TRUE(ring_.reserve(2, 400));
  ring_.publish();
  shown();
  EXPECT_TRUE(ring_.reserve(2, 600));
}

TEST_F(RingTest, OneReadLargerThanTheLimitPassesWhenNothingElseWaits) {
  EXPECT_TRUE(ring_.reserve(2, 5000)) << "or it would never pass";
  push_read(1, 5000);
  EXPECT_FALSE(ring_.reserve(2, 1));
}

TEST_F(RingTest, LifecycleEventsNeverBlockAndKeepTheirPlace) {
  while (ring_.reserve(2, 1)) push_read(1);
  for (std::uint64_t i = 1; i <= 20; ++i) push_closed(i);
  EXPECT_FALSE(ring_.producer_is_empty());
  EXPECT_FALSE(ring_.reserve(2, 1)) << "reads come after what waits already";
  ring_.publish();
  std::string all;
  for (int round = 0; round < 10 && !(ring_.empty() && ring_.producer_is_empty()); ++round) {
    all += shown() + " ";
    ring_.publish();
  }
  EXPECT_EQ(all, "1 1 1 1 1 1 1 c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 c11 c12 c13 c14 c15 c16 c17 c18 c19 c20 ");
}

TEST_F(RingTest, PublishingWithALeftoverAsksForACallWhenThereIsRoom) {
  for (std::uint64_t i = 1; i <= 12; ++i) push_closed(i);
  ring_.publish();
  EXPECT_EQ(room_calls_, 0);
  shown();
  EXPECT_EQ(room_calls_, 1) << "or the rest would wait for the next event of a worker that has none";
}

TEST_F(RingTest, AFarBehindObserverStopsNewSessionsUntilItCatchesUp) {
  EXPECT_TRUE(ring_.accepts_sessions());
  for (std::uint64_t i = 0; i < 8 + EventRing::overflow_limit; ++i) push_closed(i);
  EXPECT_FALSE(ring_.accepts_sessions());
  push_closed(9999);  // those that live still end
  ring_.publish();
  shown();
  ring_.publish();
  EXPECT_TRUE(ring_.accepts_sessions());
}

TEST_F(RingTest, HasOnlyTheKindsAndDirectionsAskedFor) {
  EventRing picky({.mask = EventKind::chunk_read | EventKind::session_closed, .directions = {false, true}},
                  std::make_shared<ConsumerSignal>());
  EXPECT_TRUE(picky.wants(EventKind::session_closed));
  EXPECT_FALSE(picky.wants(EventKind::session_opened));
  EXPECT_FALSE(picky.wants(EventKind::chunk_read, Direction::upstream));
  EXPECT_TRUE(picky.wants(EventKind::chunk_read, Direction::downstream));
}

class DroppingRing : public RingTest {
 protected:
  DroppingRing() : RingTest(FullPolicy::drop) {}
  void fill() {
    for (int i = 0; i < 7; ++i) push_read(1);
  }
};

TEST_F(DroppingRing, HoldsNoClientUpHoweverFarBehindItIs) {
  for (std::uint64_t i = 0; i < 8 + 2 * EventRing::overflow_limit; ++i) push_closed(i);
  EXPECT_TRUE(ring_.accepts_sessions());
}

TEST_F(DroppingRing, NeverHoldsTrafficUp) {
  fill();
  EXPECT_TRUE(ring_.reserve(2, 1'000'000));
}

TEST_F(DroppingRing, CountsWhatItDropsAndTellsBeforeTheNextEvent) {
  fill();
  push_read(2, 30);
  push_read(3, 10);
  ring_.push({MonoTime{}, ProxyId{}, SessionNumber{3}, ChunkWritten{40, Direction::upstream}},
             EventKind::chunk_written);
  EXPECT_FALSE(ring_.producer_is_empty());
  ring_.publish();
  EXPECT_EQ(shown(), "1 1 1 1 1 1 1");
  push_read(4);
  ring_.publish();
  EXPECT_EQ(shown(), "gap(2,1,40) 4");
  EXPECT_TRUE(ring_.producer_is_empty());
}

TEST_F(DroppingRing, TellsOfTheLossEvenIfNothingMoreHappens) {
  fill();
  push_read(2, 30);
  ring_.publish();
  shown();
  EXPECT_EQ(room_calls_, 1) << "the worker is to come and tell";
  ring_.publish();
  EXPECT_EQ(shown(), "gap(1,0,30)");
}

TEST_F(DroppingRing, ACloseAfterTheLossComesAfterTheGap) {
  fill();
  push_read(2, 30);
  push_closed(2);
  push_read(3, 5);
  push_closed(3);
  ring_.publish();
  std::string all = shown();
  ring_.publish();
  all += " " + shown();
  EXPECT_EQ(all, "1 1 1 1 1 1 1 gap(1,0,30) c2 gap(1,0,5) c3");
}

TEST_F(DroppingRing, EvenLifecycleEventsAreBoundedAndCounted) {
  std::uint64_t pushed = 0;
  for (; pushed < 3 * EventRing::overflow_limit; ++pushed) push_closed(pushed);
  std::uint64_t seen = 0;
  std::uint64_t lost = 0;
  for (int round = 0; round < 1000 && !(ring_.empty() && ring_.producer_is_empty()); ++round) {
    ring_.publish();
    ring_.drain([&](Event& event) {
      const auto* gap = std::get_if<Gap>(&event.what);
      gap != nullptr ? lost += gap->events : ++seen;
    });
  }
  EXPECT_EQ(seen + lost, pushed);
  EXPECT_GE(seen, EventRing::overflow_limit);
  EXPECT_GT(lost, 0u);
}

// Nothing is lost silently, and a gap stands where the loss was: between what was shown before and after.
TEST_F(DroppingRing, ShownAndLostAddUpAtEveryMomentAndInOrder) {
  for (unsigned seed = 1; seed <= 30 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    EventRing ring({.policy = FullPolicy::drop, .mask = everything, .slots = 16, .payload_limit = 2000},
                   std::make_shared<ConsumerSignal>());
    std::uint64_t pushed = 0;
    std::uint64_t accounted = 0;
    std::uint64_t bytes_pushed = 0;
    std::uint64_t bytes_accounted = 0;
    const auto look = [&](Event& event) {
      if (const auto* gap = std::get_if<Gap>(&event.what)) {
        accounted += gap->chunks + gap->events;
        bytes_accounted += gap->bytes;
        return;
      }
      ++accounted;
      EXPECT_EQ(static_cast<std::uint64_t>(event.session), accounted) << "the gap before it was not told, or later";
      if (const auto* chunk = std::get_if<ChunkRead>(&event.what)) bytes_accounted += chunk->bytes.size();
    };
    for (int step = 0; step < 3000; ++step) {
      const std::size_t size = 1 + random() % 400;
      if (random() % 8 == 0) {
        ring.push(closed(++pushed), EventKind::session_closed);
      } else {
        bytes_pushed += size;
        ring.push(read(++pushed, size), EventKind::chunk_read);
      }
      if (random() % 4 == 0) ring.publish();
      if (random() % 20 == 0) ring.drain(look);
    }
    for (int round = 0; round < 1000 && !(ring.empty() && ring.producer_is_empty()); ++round) {
      ring.publish();
      ring.drain(look);
    }
    EXPECT_EQ(accounted, pushed);
    EXPECT_EQ(bytes_accounted, bytes_pushed);
  }
}

}  // namespace
}  // namespace weir::event
