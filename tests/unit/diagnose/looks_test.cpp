#include <deque>

#include "diagnose/looks.h"

namespace weir::diagnose {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Kind = PeerState::Kind;

// Its kernel keeps 20 of 30 bytes back until the ACK of the others comes.
constexpr auto held_by_nagle(std::uint32_t inode) -> PeerState {
  return {.send_queue = 30,
          .inode = inode,
          .unacknowledged = 1,
          .unsent_bytes = 20,
          .send_mss = 1448,
          .congestion_window = 10,
          .peer_window = 65536};
}

TEST_F(LooksTest, AnExchangeThatIsSlowIsLookedAtAtDoublingAges) {
  begins().client_sends("q");
  const MonoTime begin = story.now();
  waits(100ms).server_sends("r");
  EXPECT_THAT(asked_at, ElementsAre(begin + 8ms, begin + 16ms, begin + 32ms, begin + 64ms));
  EXPECT_EQ(looked.size(), 8u) << "both peers, each time";
  EXPECT_EQ(asked_where, 2) << "where they are is asked once";
  EXPECT_EQ(diagnosis.report().looks, 8u);
}

TEST_F(LooksTest, FastExchangesCostNothing) {
  begins();
  for (int i = 0; i < 100; ++i) {
    story.client_sends("q");
    waits(5ms).server_sends("r");
  }
  EXPECT_THAT(looked, IsEmpty());
}

TEST_F(LooksTest, AnIdleSessionIsLookedAtOnce) {
  begins().client_sends("q").server_sends("r");
  waits(1h);
  EXPECT_EQ(looked.size(), 2u);
  EXPECT_FALSE(diagnosis.flush_due());
  story.closes();
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(LooksTest, TheLooksOfAllSessionsTogetherAreBounded) {
  std::deque<Story> many;
  for (std::uint64_t i = 2; i < 502; ++i) {
    many.emplace_back([this](const event::Event& event) { diagnosis.on_event(event, Nanos{}); }, i);
    many.back().client = story.client;
    many.back().server = story.server;
    many.back().begins().connected().client_sends("q");
  }
  waits(20ms);
  EXPECT_GE(looked.size(), 190u);
  EXPECT_LE(looked.size(), 210u) << "200 a second";
  EXPECT_EQ(diagnosis.report().looks + diagnosis.report().looks_skipped, 2000u) << "what is left out is counted";
}

TEST_F(LooksTest, ARequestInASocketThatNobodyHasWasNotAccepted) {
  sockets[LegName::server] = PeerState{.receive_queue = 100, .inode = 0, .accept_queue = 1, .accept_limit = 8};
  begins().client_sends(std::string(100, 'q'));
  waits(300ms).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("not_accepted server proven 300"));
  EXPECT_EQ(evidence("not_accepted_ns"), std::chrono::nanoseconds(256ms).count());
  EXPECT_EQ(evidence("peer_accept_queue"), 1);
}

TEST_F(LooksTest, ARequestInTheReceiveQueueWasNotRead) {
  sockets[LegName::server]->receive_queue = 100;
  begins().client_sends(std::string(100, 'q'));
  waits(300ms).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("not_read server proven 300"));
  EXPECT_EQ(evidence("peer_receive_queue"), 100);
  sockets[LegName::server]->receive_queue = 40;
  story.client_sends(std::string(100, 'q'));
  waits(300ms).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("not_read server shown 300")) << "it may be at work on what it has read";
}

TEST_F(LooksTest, OfPipelinedRequestsThoseBehindTheFirstAreNotSaidToBeUnread) {
  const std::string request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  sockets[LegName::server]->receive_queue = static_cast<std::uint32_t>(request.size());
  begins().client_sends(request).after(1us).client_sends(request);
  waits(300ms).server_sends("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  story.client_sends("q");
  EXPECT_THAT(told(), ElementsAre("head_of_line client likely 300", "think server likely 300"));
}

TEST_F(LooksTest, ARequestThatWasReadAtLastWasWorkedOnFromThere) {
  sockets[LegName::server]->receive_queue = 100;
  begins().client_sends(std::string(100, 'q'));
  waits(20ms);
  sockets[LegName::server]->receive_queue = 0;
  waits(280ms).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("think server shown 300"));
  EXPECT_EQ(evidence("at_work_ns"), std::chrono::nanoseconds(268ms).count());
}

TEST_F(LooksTest, AServerWithNothingToReadAndNothingToSendThinks) {
  begins().client_sends("q");
  waits(100ms).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("think server shown 100"));
  process = PeerProcess{.pid = 3, .threads = 1, .cpu_wait = 5ms};
  owner = process;
  story.client_sends("q");
  waits(100ms).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("think server proven 100")) << "and it did not wait for a CPU";
}

TEST_F(LooksTest, AProcessThatWaitedForACpuIsStarved) {
  for (const std::uint32_t threads : {1u, 8u}) {
    process = PeerProcess{.pid = 3, .threads = threads, .cpu_wait = 1s};
    owner = process;
    if (threads == 1) begins();
    story.client_sends("q");
    waits(100ms);
    process->cpu_wait += 80ms;
    story.server_sends("r");
    EXPECT_THAT(told(), ElementsAre(threads == 1 ? "cpu_starved server shown 100" : "cpu_starved server likely 100"));
    EXPECT_EQ(evidence("cpu_wait_ns"), std::chrono::nanoseconds(80ms).count());
  }
}

TEST_F(LooksTest, AProcessThatIsStoppedStandsStill) {
  process = PeerProcess{.pid = 3, .threads = 1, .is_stopped = true, .cpu_wait = 1s};
  owner = process;
  sockets[LegName::server]->receive_queue = 1;
  begins().client_sends("q");
  waits(100ms).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("standstill server proven 100"));
}

TEST_F(LooksTest, WhatNagleHoldsBackIsProvenWhateverItsLength) {
  sockets[LegName::client] = held_by_nagle(8);
  begins().client_sends("0123456789");
  waits(25ms).client_sends("01234567890123456789").after(1us).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("split_write client proven 25"));
  EXPECT_EQ(evidence("cut"), 10);
  EXPECT_EQ(evidence("peer_unsent"), 20);
  EXPECT_THAT(last.proof, HasSubstr("held 20 bytes back"));
}

TEST_F(LooksTest, AClientThatDripsHasNothingInItsSocketThoughItsAckIsDelayed) {
  sockets[LegName::client] = PeerState{.send_queue = 10, .inode = 8, .unacknowledged = 1, .send_mss = 1448};
  begins().client_sends("0123456789");
  waits(45ms).client_sends("01234567890123456789").after(1us).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("unknown client likely 45"));
}

TEST_F(LooksTest, AWindowThatIsClosedHoldsBytesBackToo) {
  const PeerState held = held_by_nagle(8);
  for (const auto& change : std::vector<std::function<void(PeerState&)>>{
           [](PeerState& state) { state.congestion_window = 1; }, [](PeerState& state) { state.peer_window = 20; },
           [](PeerState& state) { state.send_mss = 20; }, [](PeerState& state) { state.unsent_bytes = 0; }}) {
    sockets[LegName::client] = held;
    change(*sockets[LegName::client]);
    if (diagnosis.report().sessions == 0) begins();
    story.client_sends("0123456789");
    waits(25ms).client_sends("01234567890123456789").after(1us).server_sends("r");
    EXPECT_THAT(told(), ElementsAre("unknown client likely 25"));
  }
}

TEST_F(LooksTest, AnAnswerThatWaitsForAnAckIsNoThought) {
  begins().client_sends("q");
  sockets[LegName::server] = held_by_nagle(7);
  waits(41ms).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("split_write server proven 41"));
}

TEST_F(LooksTest, WhatIsHeldBackWithNothingOnTheWayIsCorked) {
  const PeerState corked{.send_queue = 20,
                         .inode = 8,
                         .unsent_bytes = 20,
                         .send_mss = 1448,
                         .congestion_window = 10,
                         .peer_window = 65536};
  sockets[LegName::server] = corked;
  begins().client_sends("q");
  waits(205ms).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("cork server proven 205"));
  sockets[LegName::client] = corked;
  sockets[LegName::server] = PeerState{.inode = 7, .owner = 7};
  const Nanos before = diagnosis.report().exchange_time;
  waits(205ms).client_sends("q").after(1us).server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("cork client proven 205"));
  EXPECT_GE(diagnosis.report().exchange_time - before, 205ms) << "a share is a share of it";
}

TEST_F(LooksTest, AServerThatThinksAsLongAsACorkHoldsIsSeenToThink) {
  begins();
  for (int i = 0; i < 7; ++i) {
    story.client_sends("q");
    waits(206ms).server_sends("r").after(50us);
  }
  story.closes();
  EXPECT_THAT(told(), testing::Each("think server shown 206"));
}

TEST_F(LooksTest, AClientWhoseReceiveQueueIsFullDoesNotRead) {
  sockets[LegName::client]->receive_queue = 1'000'000;
  begins().client_sends("q").after(1us);
  story.tell(event::ChunkRead{story.bytes("r"), 0, std::nullopt, Direction::downstream});
  waits(150ms).tell(event::ChunkWritten{1, Direction::downstream}).closes();
  EXPECT_THAT(told(), ElementsAre("not_reading client proven 150"));
  EXPECT_EQ(evidence("peer_receive_queue"), 1'000'000);
}

TEST_F(LooksTest, AConnectionForWhichTheListenerHasNoPlaceFindsItsQueueFull) {
  const PeerState full{.kind = Kind::listening, .receive_queue = 129, .send_queue = 128};
  sockets[LegName::server] = full;
  begins().client_sends("q");
  waits(900ms);
  story.counts(LegName::server).total_retransmits = 2;
  sockets[LegName::server] = PeerState{.inode = 7, .owner = 7};
  waits(500ms).server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("accept_queue_full server proven 1400"));
  EXPECT_THAT(last.text, HasSubstr("129 connections wait"));
  Story next([this](const event::Event& event) { diagnosis.on_event(event, Nanos{}); }, 2);
  next.client = story.client;
  next.server = story.server;
  next.after(story.now() - start).accepted();
  sockets[LegName::server] = full;
  waits(200ms);
  sockets[LegName::server] = PeerState{.kind = Kind::listening, .receive_queue = 0, .send_queue = 128};
  waits(810ms);
  next.after(1010ms).tried(0, 1010ms).opened().closes();
  EXPECT_THAT(told(), ElementsAre("accept_queue_full server proven 1010"));
}

TEST_F(LooksTest, AListenerWithRoomSaysNothingOfAConnectionThatIsGone) {
  sockets[LegName::server] = PeerState{.kind = Kind::listening, .receive_queue = 3, .send_queue = 128};
  begins().client_sends("q");
  waits(100ms).server_sends("r");
  EXPECT_THAT(told(), ElementsAre("think server likely 100"));
}

TEST_F(LooksTest, ALookBehindThePausesEndSaysNothing) {
  begins().client_sends("q");
  const MonoTime sent = story.now();
  waits(7ms);
  sockets[LegName::server]->receive_queue = 1;
  waits(30ms);  // the answer had come, and its event was late
  story.tell(event::ChunkRead{story.bytes("r"), 0, sent + 7ms, Direction::downstream});
  EXPECT_THAT(told(), testing::UnorderedElementsAre("think server likely 7", "own_lag weir shown 30"));
}

}  // namespace
}  // namespace weir::diagnose
