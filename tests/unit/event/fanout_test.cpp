#include "event/fanout.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace weir::event {
namespace {

const Address near_client = *Address::parse_ip("192.0.2.7", 4000);
const Address far_client = *Address::parse_ip("198.51.100.9", 4000);

auto make_ring(RingOptions options) -> std::unique_ptr<EventRing> {
  return std::make_unique<EventRing>(std::move(options), std::make_shared<ConsumerSignal>());
}

auto count(EventRing& ring) -> std::size_t {
  ring.publish();
  return ring.drain([](Event&) {});
}

class FanoutTest : public testing::Test {
 protected:
  auto session(std::uint64_t number = 1, const Address& client = near_client) -> SessionEvents {
    SessionEvents events(&fanout_, ProxyId{3}, SessionNumber{number});
    events.select(client);
    return events;
  }
  static void say_written(const SessionEvents& events, Direction direction) {
    events.push(MonoTime{}, EventKind::chunk_written, ChunkWritten{1, direction});
  }
  static void say_closed(const SessionEvents& events) {
    events.push(MonoTime{}, EventKind::session_closed, std::make_shared<const SessionClosed>());
  }
  Fanout fanout_;
};

TEST_F(FanoutTest, NobodyWantsAnything) {
  EXPECT_TRUE(fanout_.empty());
  const auto events = session();
  EXPECT_FALSE(events.wants(EventKind::session_closed));
  EXPECT_FALSE(events.wants(EventKind::chunk_read, Direction::upstream));
  EXPECT_TRUE(events.reserve(Direction::upstream, 1000, 1000));
}

TEST_F(FanoutTest, GivesEachRingWhatItWants) {
  const auto chunks =
      make_ring({.mask = EventKind::chunk_read | EventKind::chunk_written, .directions = {true, false}, .slots = 4});
  const auto closes = make_ring({.mask = static_cast<EventMask>(EventKind::session_closed)});
  fanout_.add(*chunks);
  fanout_.add(*closes);
  const auto events = session();
  EXPECT_TRUE(events.wants(EventKind::session_closed));
  EXPECT_FALSE(events.wants(EventKind::session_opened));
  EXPECT_TRUE(events.wants(EventKind::chunk_read, Direction::upstream));
  EXPECT_FALSE(events.wants(EventKind::chunk_read, Direction::downstream))
      << "that the other ring looks both ways is no wish for chunks";
  say_written(events, Direction::upstream);
  say_written(events, Direction::downstream);
  say_closed(events);
  chunks->publish();
  EXPECT_EQ(chunks->drain([](Event& event) {
    EXPECT_EQ(std::get<ChunkWritten>(event.what).direction, Direction::upstream);
    EXPECT_EQ(event.proxy, ProxyId{3});
    EXPECT_EQ(event.session, SessionNumber{1});
  }),
            1U);
  EXPECT_EQ(count(*closes), 1U);

  for (int i = 0; i < 3; ++i) say_written(events, Direction::upstream);
  EXPECT_FALSE(events.reserve(Direction::upstream, 2, 1));
  EXPECT_TRUE(events.reserve(Direction::upstream, 1, 1));
  EXPECT_TRUE(events.reserve(Direction::downstream, 2, 1)) << "no ring looks at that direction";
}

TEST_F(FanoutTest, ARingThatWantsWritesOnlyIsAskedForRoomToo) {
  const auto writes = make_ring({.mask = static_cast<EventMask>(EventKind::chunk_written), .slots = 4});
  fanout_.add(*writes);
  const auto events = session();
  for (int i = 0; i < 4; ++i) say_written(events, Direction::upstream);
  EXPECT_FALSE(events.reserve(Direction::upstream, 1, 0));
}

TEST_F(FanoutTest, FiltersBeforeTheRingIsPaid) {
  const auto one = make_ring({.mask = static_cast<EventMask>(EventKind::session_closed),
                              .filter = {.client = *ClientFilter::parse("192.0.2.0/24")}});
  const auto second =
      make_ring({.mask = static_cast<EventMask>(EventKind::session_closed), .filter = {.session = SessionNumber{2}}});
  fanout_.add(*one);
  fanout_.add(*second);
  say_closed(session(1, near_client));
  say_closed(session(1, far_client));
  say_closed(session(2, far_client));
  EXPECT_FALSE(session(3, far_client).wants(EventKind::session_closed)) << "its event need not be made";
  EXPECT_EQ(count(*one), 1U);
  EXPECT_EQ(count(*second), 1U);
}

TEST_F(FanoutTest, RingsComeAndGoWhileASessionLives) {
  auto events = session();
  const auto first = make_ring({.mask = static_cast<EventMask>(EventKind::session_closed)});
  const auto second = make_ring({.mask = static_cast<EventMask>(EventKind::session_closed)});
  ASSERT_TRUE(fanout_.add(*first));
  EXPECT_FALSE(events.wants(EventKind::session_closed)) << "it has not selected yet";
  events.select(near_client);
  say_closed(events);
  fanout_.remove(*first);
  events.select(near_client);
  EXPECT_FALSE(events.wants(EventKind::session_closed));
  ASSERT_TRUE(fanout_.add(*second));  // in the same place
  events.select(near_client);
  say_closed(events);
  EXPECT_EQ(count(*first), 1U);
  EXPECT_EQ(count(*second), 1U);
}

TEST_F(FanoutTest, TellsANewcomerAlone) {
  const auto old_ring = make_ring({.mask = static_cast<EventMask>(EventKind::session_opened)});
  const auto new_ring = make_ring({.mask = static_cast<EventMask>(EventKind::session_opened)});
  const auto other_client = make_ring({.mask = static_cast<EventMask>(EventKind::session_opened),
                                       .filter = {.client = *ClientFilter::parse("198.51.100.9")}});
  for (const auto* ring : {&old_ring, &new_ring, &other_client}) fanout_.add(**ring);
  const auto events = session();
  for (const auto* ring : {&new_ring, &other_client}) {
    events.push_to(**ring, MonoTime{}, EventKind::session_opened, std::make_shared<const SessionOpened>());
  }
  EXPECT_EQ(count(*old_ring), 0U);
  EXPECT_EQ(count(*new_ring), 1U);
  EXPECT_EQ(count(*other_client), 0U);
}

TEST_F(FanoutTest, HasABound) {
  std::vector<std::unique_ptr<EventRing>> rings;
  for (std::size_t i = 0; i < Fanout::most_rings; ++i) {
    rings.push_back(make_ring({.mask = static_cast<EventMask>(EventKind::session_closed), .slots = 4}));
    ASSERT_TRUE(fanout_.add(*rings.back()));
  }
  const auto one_more = make_ring({.mask = static_cast<EventMask>(EventKind::session_closed)});
  EXPECT_FALSE(fanout_.add(*one_more));
  say_closed(session());
  for (const auto& ring : rings) EXPECT_EQ(count(*ring), 1U);
}

}  // namespace
}  // namespace weir::event
