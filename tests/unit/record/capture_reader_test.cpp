#include "record/packets.h"

namespace weir::record {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::IsEmpty;

class CaptureReaderTest : public ReaderTest {};

TEST_F(CaptureReaderTest, AConnectionIsASession) {
  up({.sequence = 99, .flags = syn}).at(10ms).down({.sequence = 499, .acknowledges = 100, .flags = syn | ack});
  at(11ms).up({.sequence = 100, .acknowledges = 500});
  at(20ms).up({.sequence = 100, .acknowledges = 500, .payload = "ask"});
  at(30ms).down({.sequence = 500, .acknowledges = 103, .payload = "answer"});
  at(40ms).up({.sequence = 103, .acknowledges = 506, .flags = fin | ack});
  at(41ms).down({.sequence = 506, .acknowledges = 104, .flags = fin | ack});
  at(42ms).up({.sequence = 104, .acknowledges = 507});
  EXPECT_THAT(told(), ElementsAre("11ms 1: opened 10.0.0.1:40000 to 10.0.0.2:5432", "20ms 1: upstream 0+ask",
                                  "30ms 1: downstream 0+answer", "41ms 1: closed by client.fin"));
  reader.end();
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(last().round_trip, (std::array<Nanos, 2>{1ms, 10ms}));
}

TEST_F(CaptureReaderTest, ARefusalAndARequestThatNobodyAnswers) {
  up({.sequence = 99, .flags = syn}).at(2ms).down({.sequence = 0, .acknowledges = 100, .flags = rst | ack});
  EXPECT_THAT(told(), ElementsAre("2ms 1: not connected: Connection refused", "2ms 1: closed by connect.refused"));
  for (const auto time : {5s, 6s, 8s}) at(time).up({.sequence = 700, .flags = syn});
  reader.end();
  EXPECT_THAT(told(),
              ElementsAre("8000ms 2: not connected: Connection timed out", "8000ms 2: closed by connect.failed"));
  EXPECT_EQ(last().connects, 3u);
}

TEST_F(CaptureReaderTest, ResetsHaveTheirSide) {
  opens();
  down({.flags = rst});
  EXPECT_THAT(told(), ElementsAre("0ms 1: closed by server.reset"));
  opens();
  up({.flags = rst});
  EXPECT_THAT(told(), ElementsAre("0ms 2: closed by client.reset"));
}

TEST_F(CaptureReaderTest, WithoutItsBeginTheClientIsWhoHasAPortForClients) {
  at(5ms).down({.sequence = 500, .payload = "later"});
  EXPECT_THAT(told(), ElementsAre("5ms 1: opened 10.0.0.1:40000 to 10.0.0.2:5432", "5ms 1: downstream 0+later"));
  up({.from = 9001, .to = 9000, .payload = "ask"});
  EXPECT_THAT(told(), ElementsAre("5ms 2: opened 10.0.0.1:9001 to 10.0.0.2:9000", "5ms 2: upstream 0+ask"))
      << "neither says it: who speaks first asks";
  up({.from = 50000, .to = 40001, .flags = syn}).told();
  down({.from = 60000, .to = 40001, .payload = "more"});
  EXPECT_THAT(told(), testing::Contains("5ms 4: downstream 0+more")) << "40001 was seen to take connections";
}

TEST_F(CaptureReaderTest, BytesComeInOrderAndOnce) {
  opens();
  up({.sequence = 4, .payload = "def"}).up({.sequence = 9, .payload = "i"}).up({.sequence = 4, .payload = "defgh"});
  EXPECT_THAT(told(), IsEmpty()) << "the first ones are missing";
  at(50ms).up({.sequence = 1, .payload = "abcd"}).up({.sequence = 1, .payload = "abc"});
  EXPECT_THAT(told(), ElementsAre("50ms 1: upstream 0+abcd", "50ms 1: upstream 4+efgh", "50ms 1: upstream 8+i"));
  EXPECT_GT(notes.evidence.at(1).waited_behind_hole, 0u);
  at(51ms).up({.sequence = 8, .payload = "hij"});
  EXPECT_THAT(told(), ElementsAre("51ms 1: upstream 9+j"));
}

TEST_F(CaptureReaderTest, SequenceNumbersWrap) {
  opens(0xfffffffe, 0x7fffffff);
  up({.sequence = 0xfffffffe, .acknowledges = 0x7fffffff, .payload = "abcd"});
  up({.sequence = 2, .acknowledges = 0x7fffffff, .payload = "e"});
  down({.sequence = 0x7fffffff, .acknowledges = 3, .payload = "xy"})
      .down({.sequence = 0x80000001, .acknowledges = 3, .payload = "z"});
  EXPECT_THAT(told(), ElementsAre("0ms 1: upstream 0+abcd", "0ms 1: upstream 4+e", "0ms 1: downstream 0+xy",
                                  "0ms 1: downstream 2+z"));
}

TEST_F(CaptureReaderTest, WhatACaptureCutsOffIsCountedAndNotMadeUp) {
  opens();
  frame(ethernet(ipv4(tcp({.payload = "abcdef"}))), 4).up({.sequence = 7, .payload = "gh"});
  EXPECT_THAT(told(), ElementsAre("0ms 1: upstream 0+ab and 4 unseen", "0ms 1: upstream 6+gh"));
  EXPECT_EQ(reader.counts().unseen, 4u);
  EXPECT_EQ(reader.counts().missed, 0u);
}

TEST_F(CaptureReaderTest, WhatWasAcknowledgedAndNotCapturedIsAGap) {
  opens();
  up({.sequence = 1, .payload = "ab"}).up({.sequence = 6, .payload = "fg"});
  at(1ms).down({.acknowledges = 8});
  EXPECT_THAT(told(), ElementsAre("0ms 1: upstream 0+ab", "1ms 1: upstream 2+ and 3 unseen", "1ms 1: upstream 5+fg"));
  EXPECT_EQ(reader.counts().missed, 3u);
  at(2ms).up({.sequence = 3, .payload = "cde"}).at(60ms).down({.acknowledges = 8, .payload = "r"});
  EXPECT_EQ(last().again[0], 0u) << "it came later to the capture, and was not sent again";
}

TEST_F(CaptureReaderTest, KeepAlivesAndProbesAreNoBytes) {
  opens();
  up({.payload = "ask"}).at(1s).up({.sequence = 3}).at(2s).up({.sequence = 3, .payload = "k"});
  at(3s).down({.acknowledges = 4, .payload = "r"});
  EXPECT_THAT(told(), ElementsAre("0ms 1: upstream 0+ask", "3000ms 1: downstream 0+r"));
  EXPECT_EQ(last().again[0], 0u);
}

TEST_F(CaptureReaderTest, ACaptureThatBeginsWithAKeepAliveMissesNothing) {
  up({.sequence = 99}).up({.sequence = 100, .payload = "ask"});
  EXPECT_EQ(told().back(), "0ms 1: upstream 0+ask");
  EXPECT_EQ(reader.counts().missed, 0u);
}

TEST_F(CaptureReaderTest, AcksTellWhenTheNextPieceCouldLeave) {
  opens();
  up({.payload = "piece"}).at(40ms).down({.acknowledges = 6}).at(40ms + 17us).up({.sequence = 6, .payload = "rest"});
  EXPECT_TRUE(last().acknowledged && last().answers);
  EXPECT_EQ(last().ack_took, 40ms);
  EXPECT_EQ(last().left_after, 17us);
  at(90ms).up({.sequence = 10, .payload = "more"}).at(91ms).down({.acknowledges = 14});
  EXPECT_FALSE(last().acknowledged) << "it left before its ACK came";
}

TEST_F(CaptureReaderTest, RetransmissionsAreCountedWithTheirTimes) {
  opens();
  up({.payload = "ask"}).at(203ms).up({.payload = "ask"});
  at(224ms).down({.acknowledges = 4, .payload = "r", .options = std::string("\x01\x01\x05\x0a", 4) + u32(1) + u32(4)});
  EXPECT_EQ(last().again[0], 1u);
  EXPECT_EQ(last().again_after[0], 203ms);
  EXPECT_EQ(last().twice[0], 1u) << "the server had had it";
  at(300ms).up({.sequence = 4, .acknowledges = 2, .payload = "n"});
  EXPECT_EQ(last().again[0], 0u) << "each wait has its own";
}

TEST_F(CaptureReaderTest, AWindowOfZeroIsTimed) {
  opens();
  up({.payload = "ask"}).down({.acknowledges = 4, .payload = "a"});
  at(10ms)
      .up({.sequence = 4, .acknowledges = 2, .window = 0})
      .at(110ms)
      .up({.sequence = 4, .acknowledges = 2, .window = 9});
  at(120ms).down({.sequence = 2, .acknowledges = 4, .payload = "b"});
  EXPECT_EQ(last().window_closed[0], 100ms);
  EXPECT_EQ(last().window_closed[1], 0ms);
}

TEST_F(CaptureReaderTest, ACopyOfAPacketFromAnotherInterfaceIsNoRetransmission) {
  opens();
  const std::string once = ethernet(ipv4(tcp({.payload = "ask"})));
  frame(once).at(100us).frame(once).at(50ms).down({.acknowledges = 4, .payload = "r"});
  EXPECT_EQ(reader.counts().copies, 1u);
  EXPECT_EQ(last().again[0], 0u);
}

TEST_F(CaptureReaderTest, PortsAreUsedAgain) {
  opens();
  up({.payload = "first"})
      .up({.sequence = 7000, .flags = syn})
      .down({.sequence = 80, .acknowledges = 7001, .flags = syn | ack});
  up({.sequence = 7001, .acknowledges = 81, .payload = "second"});
  EXPECT_THAT(told(), ElementsAre("0ms 1: upstream 0+first", "0ms 1: closed by shutdown",
                                  "0ms 2: opened 10.0.0.1:40000 to 10.0.0.2:5432", "0ms 2: upstream 0+second"));
}

TEST_F(CaptureReaderTest, TheLongestIdleConnectionGivesWayAndEndedOnesBefore) {
  for (std::uint16_t port = 50000; port < 50008; ++port) at(Nanos{port}).up({.from = port, .payload = "ask"});
  at(1ms).up({.from = 50000, .sequence = 4, .payload = "again"}).told();
  up({.from = 50003, .flags = rst}).up({.from = 50100, .payload = "new"});
  EXPECT_EQ(reader.counts().evicted, 0u) << "that of 50003 had ended";
  told();
  up({.from = 50101, .payload = "new"});
  EXPECT_EQ(reader.counts().evicted, 1u);
  EXPECT_THAT(told(), testing::Contains(testing::HasSubstr("2: closed by shutdown"))) << "50001 has said nothing since";
}

TEST_F(CaptureReaderTest, WhatWaitsBehindAHoleIsBounded) {
  opens();
  const std::string much(60'000, 'x');
  for (std::uint32_t i = 0; i < 200; ++i) up({.sequence = 100 + i * 60'000, .payload = much});
  EXPECT_FALSE(told().empty()) << "the hole was given up";
  EXPECT_EQ(reader.counts().missed, 99u);
}

TEST_F(CaptureReaderTest, OtherPacketsAreCounted) {
  frame(ethernet(ipv4("udp", {.from = "aaaa", .to = "bbbb", .protocol = 17})));
  frame(ethernet(ipv4("part", {.from = "aaaa", .to = "bbbb", .fragment = 0x2000})));
  frame("short");
  const CaptureCounts counts = reader.counts();
  EXPECT_EQ(counts.packets, 3u);
  EXPECT_EQ(counts.not_tcp, 1u);
  EXPECT_EQ(counts.fragments, 1u);
  EXPECT_EQ(counts.cut, 1u);
}

}  // namespace
}  // namespace weir::record
