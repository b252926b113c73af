#include "record/packets.h"

namespace weir::record {
namespace {

using namespace test;

// A client (10.0.0.1) of a relay (10.0.0.2:8888), which is a client of a server (10.0.0.3:5432).
class RelayPairsTest : public testing::Test {
 public:
  struct Leg {
    std::string client;
    std::string server;
    std::uint16_t from;
    std::uint16_t to;
    std::uint32_t sent = 1;
    std::uint32_t got = 1;
  };
  Leg outer{client, relay, 40000, 8888};
  Leg inner{relay, server, 50000, 5432};

  auto at(Nanos time) -> RelayPairsTest& {
    now_ = Notes::start + time;
    return *this;
  }
  auto ask(Leg& leg, const std::string& text) -> RelayPairsTest& {
    take(leg.client, leg.server, {leg.from, leg.to, leg.sent, leg.got, text});
    leg.sent += static_cast<std::uint32_t>(text.size());
    return *this;
  }
  auto answer(Leg& leg, const std::string& text) -> RelayPairsTest& {
    take(leg.server, leg.client, {leg.to, leg.from, leg.got, leg.sent, text});
    leg.got += static_cast<std::uint32_t>(text.size());
    return *this;
  }
  auto relayed() -> std::optional<event::Relayed> { return notes.evidence.back().relayed; }

  Notes notes;
  CaptureReader reader{notes, ~event::EventMask{0}};
  static inline const std::string client = std::string("\x0a\0\0\x01", 4);
  static inline const std::string relay = std::string("\x0a\0\0\x02", 4);
  static inline const std::string server = std::string("\x0a\0\0\x03", 4);

 private:
  void take(const std::string& from, const std::string& to, const Segment& segment) {
    const std::string frame = ethernet(ipv4(tcp(segment), {.from = from, .to = to, .number = ++number_}));
    reader.take(Link::ethernet, now_, bytes_of(frame), frame.size());
  }
  MonoTime now_ = Notes::start;
  unsigned number_ = 0;
};

TEST_F(RelayPairsTest, AnAnswerThatCameThroughAnotherConnectionSaysSo) {
  ask(outer, "SELECT 1;")
      .at(2ms)
      .ask(inner, "SELECT 1;")
      .at(50ms)
      .answer(inner, "one row")
      .at(53ms)
      .answer(outer, "one row");
  ASSERT_TRUE(relayed());
  EXPECT_EQ(relayed()->other, SessionNumber{2});
  EXPECT_EQ(relayed()->begin, Notes::start + 2ms);
  EXPECT_EQ(relayed()->arrived, Notes::start + 50ms);
}

TEST_F(RelayPairsTest, APieceThatTheRelayHadNotYetIsTheClientsDelay) {
  ask(outer, "SELECT 1 ").at(1ms).ask(inner, "SELECT 1 ").at(40ms).ask(outer, "FROM a").at(42ms).ask(inner, "FROM a");
  ASSERT_TRUE(relayed());
  EXPECT_EQ(relayed()->other, SessionNumber{1});
  EXPECT_EQ(relayed()->arrived, Notes::start + 40ms);
}

TEST_F(RelayPairsTest, APieceThatTheRelayHadIsItsOwn) {
  ask(outer, "SELECT 1 FROM a").at(1ms).ask(inner, "SELECT 1 ").at(41ms).ask(inner, "FROM a");
  ASSERT_TRUE(relayed());
  EXPECT_EQ(relayed()->arrived, Notes::start) << "before the wait began";
}

TEST_F(RelayPairsTest, OtherBytesAreNotPaired) {
  ask(outer, "SELECT 1;").at(2ms).ask(inner, "select 1;").at(50ms).answer(inner, "row").at(53ms).answer(outer, "row");
  EXPECT_FALSE(relayed()) << "rewritten on the way";
  at(60ms)
      .ask(outer, "SELECT 2;")
      .at(62ms)
      .ask(inner, "SELECT 2;")
      .at(90ms)
      .answer(inner, "two")
      .at(93ms)
      .answer(outer, "owt");
  EXPECT_FALSE(relayed()) << "another answer";
}

TEST_F(RelayPairsTest, TwoRequestsThatAreAlikeAreNotPaired) {
  Leg second{client, relay, 40001, 8888};
  ask(outer, "SELECT 1;").ask(second, "SELECT 1;").at(2ms).ask(inner, "SELECT 1;");
  at(50ms).answer(inner, "row").at(53ms).answer(outer, "row");
  EXPECT_FALSE(relayed());
}

TEST_F(RelayPairsTest, APoolIsPairedRequestByRequest) {
  Leg second{relay, server, 50001, 5432};
  ask(outer, "SELECT 1;").at(1ms).ask(inner, "SELECT 1;").at(20ms).answer(inner, "one").at(21ms).answer(outer, "one");
  ASSERT_TRUE(relayed());
  at(30ms)
      .ask(outer, "SELECT 2;")
      .at(31ms)
      .ask(second, "SELECT 2;")
      .at(60ms)
      .answer(second, "two")
      .at(62ms)
      .answer(outer, "two");
  ASSERT_TRUE(relayed());
  EXPECT_EQ(relayed()->other, SessionNumber{3});
  EXPECT_EQ(relayed()->arrived, Notes::start + 60ms);
}

TEST_F(RelayPairsTest, AnotherClientOfTheSameServiceIsNoRelay) {
  Leg beside{server, server, 60000, 5432};
  Leg first{client, server, 40000, 5432};
  ask(first, "SELECT 1;").at(1ms).ask(beside, "SELECT 1;").at(20ms).answer(beside, "one").at(30ms).answer(first, "one");
  EXPECT_FALSE(relayed());
}

}  // namespace
}  // namespace weir::record
