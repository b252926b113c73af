#include "http/server.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "http/body_text.h"
#include "http/scripted_peer.h"

namespace weir::http {
namespace {

using namespace scripted;
using namespace std::chrono_literals;

TEST(HttpServer, WhenAllPlacesAreTakenTheLongestIdleHasToGo) {
  ScriptedWorld world({.connections = 3});
  world.at_once = echo;
  auto& first = world.connect();
  world.pass(1s);
  auto& second = world.connect();
  world.pass(1s);
  world.connect();
  world.pass(1s);
  first.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");  // now the second has waited longest
  world.run();
  EXPECT_TRUE(world.server.has_room());
  world.run();
  EXPECT_TRUE(second.is_closed());
  EXPECT_EQ(world.server.connections(), 2u);
  EXPECT_TRUE(world.server.has_room());
  EXPECT_EQ(world.server.connections(), 2u) << "nobody goes while there is room";
}

TEST(HttpServer, HalfARequestKeepsNoPlace) {
  ScriptedWorld world({.connections = 1});
  auto& peer = world.connect();
  peer.sends("GET / HT");
  world.run();
  EXPECT_TRUE(world.server.has_room());
  EXPECT_TRUE(peer.is_closed());
}

TEST(HttpServer, WhoIsBusyStays) {
  ScriptedWorld world({.connections = 2});
  auto& waits = world.connect();
  waits.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  auto& writes = world.connect();
  writes.stops_reading();
  writes.send_buffer = 10;
  writes.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world.run();
  std::swap(world.held[0], world.held[1]);
  world.answer({.body = "long enough for the buffer"});
  world.run();
  EXPECT_FALSE(world.server.has_room());
  EXPECT_EQ(world.server.connections(), 2u);
  EXPECT_TRUE(world.held.front().responder.is_awaited());
}

TEST(HttpServer, ThoseWhoAskAndReadNothingGiveTheirPlaces) {
  ScriptedWorld world({.connections = 2});
  world.at_once = [](const Request&, Responder responder) { responder.answer({.body = std::string(1000, 'x')}); };
  std::vector<ScriptedPeer*> deaf;
  for (int i = 0; i < 2; ++i) {
    deaf.push_back(&world.connect());
    deaf.back()->stops_reading();
    deaf.back()->send_buffer = 10;
    deaf.back()->sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
    world.run();
    world.pass(10ms);
  }
  EXPECT_FALSE(world.server.has_room()) << "they may be slow: their answers are on their way";
  world.pass(Limits{}.deaf_after);
  EXPECT_TRUE(world.server.has_room());
  world.run();
  EXPECT_TRUE(deaf[0]->is_closed()) << "the one that has taken nothing for longest";
  EXPECT_FALSE(deaf[1]->is_closed());
}

TEST(HttpServer, StrangersGoBeforeThoseWhoHaveAskedBefore) {
  ScriptedWorld world({.connections = 2});
  world.at_once = [](const Request&, Responder responder) { responder.answer({.body = "yes"}); };
  world.server.set_gate([](const Request& head) -> std::optional<Response> {
    if (head.path == "/closed") return Response{.status = 401};
    return std::nullopt;
  });
  auto& known = world.connect();
  known.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world.run();
  world.pass(10ms);
  auto& stranger = world.connect();
  stranger.sends("GET /closed HTTP/1.1\r\nHost: w\r\n\r\n");
  world.run();
  EXPECT_EQ(responses_in(stranger.received())->front().status, 401);
  EXPECT_TRUE(world.server.has_room());
  world.run();
  EXPECT_TRUE(stranger.is_closed());
  EXPECT_FALSE(known.is_closed());
}

TEST(HttpServer, ARequestIsJudgedBeforeItsBodyIsRead) {
  ScriptedWorld world;
  int handled = 0;
  world.at_once = [&](const Request&, Responder responder) {
    ++handled;
    responder.answer({.body = "yes"});
  };
  world.server.set_gate([](const Request& head) -> std::optional<Response> {
    if (head.header("authorization").empty()) return Response{.status = 401};
    return std::nullopt;
  });
  auto& peer = world.connect();
  peer.sends("POST / HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
  world.run();
  const auto seen = responses_in(peer.received());
  ASSERT_TRUE(seen && seen->size() == 1) << "not even a 100 Continue: " << peer.received();
  EXPECT_EQ(seen->front().status, 401);
  EXPECT_TRUE(peer.saw_fin()) << "the body would have to be read to find the next request";
  auto& without_body = world.connect();
  without_body.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\nGET / HTTP/1.1\r\nHost: w\r\nAuthorization: x\r\n\r\n");
  world.run();
  const auto both = responses_in(without_body.received());
  ASSERT_TRUE(both && both->size() == 2) << "the connection stays";
  EXPECT_EQ(both->back().status, 200);
  EXPECT_EQ(handled, 1);
}

TEST(HttpServer, ResponsesThatNobodyReadsAreBoundedTogether) {
  ScriptedWorld world({.waiting_bytes = 10UL << 20U});
  world.at_once = [](const Request&, Responder responder) { responder.answer({.body = std::string(1 << 20, 'x')}); };
  const auto ask = [&](std::size_t buffer) -> ScriptedPeer& {
    auto& peer = world.connect();
    peer.stops_reading();
    peer.send_buffer = buffer;
    peer.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
    world.run();
    return peer;
  };
  std::vector<ScriptedPeer*> crowd;
  for (int i = 0; i < 9; ++i) crowd.push_back(&ask(100));
  auto& refused = ask(1000);
  refused.reads_on();
  world.run();
  const auto seen = responses_in(refused.received());
  ASSERT_TRUE(seen && seen->size() == 1);
  EXPECT_EQ(seen->front().status, 503);
  EXPECT_EQ(seen->front().body, "10 MiB of answers wait for who asked for them: read them, or ask again later\n");
  for (ScriptedPeer* each : crowd) each->resets();
  world.run();
  auto& again = ask(2 << 20);
  again.reads_on();
  EXPECT_EQ(responses_in(again.received())->front().status, 200) << "those who left made room";
}

TEST(HttpServer, AResponseLargerThanTheBoundIsGivenWhenNothingElseWaits) {
  ScriptedWorld world({.waiting_bytes = 100});
  world.at_once = [](const Request&, Responder responder) { responder.answer({.body = std::string(1000, 'x')}); };
  auto& peer = world.connect();
  peer.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world.run();
  EXPECT_EQ(responses_in(peer.received())->front().status, 200);
}

TEST(HttpServer, ABodyThatManyGetIsKeptAndCountedOnce) {
  ScriptedWorld world({.waiting_bytes = 3UL << 20U});
  auto body = std::make_shared<const std::string>(2UL << 20U, 'x');
  world.at_once = [&](const Request&, Responder responder) { responder.answer({.shared_body = {body}}); };
  std::vector<ScriptedPeer*> crowd;
  for (int i = 0; i < 8; ++i) {
    crowd.push_back(&world.connect());
    crowd.back()->stops_reading();
    crowd.back()->sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  }
  world.run();
  EXPECT_EQ(body.use_count(), 9) << "nobody has a copy";
  EXPECT_LT(world.server.held_bytes(), 1UL << 20U);
  for (std::size_t i = 1; i < 8; ++i) crowd[i]->reads_on();
  crowd[0]->resets();
  world.run();
  for (std::size_t i = 1; i < 8; ++i) {
    const auto seen = responses_in(crowd[i]->received());
    ASSERT_TRUE(seen && seen->size() == 1);
    EXPECT_EQ(seen->front().status, 200);
    EXPECT_EQ(seen->front().body, *body);
  }
  EXPECT_EQ(body.use_count(), 1) << "who has it, or has left, keeps it no longer";
  body = std::make_shared<const std::string>(3UL << 20U, 'y');
  crowd[1]->sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world.run();
  EXPECT_EQ(responses_in(crowd[1]->received())->back().body, *body) << "nor does it count any longer";
}

TEST(HttpServer, ABodyInPiecesIsSentWholeAndEachIsGivenBackWhenAllHaveIt) {
  ScriptedWorld world;
  BodyText text;
  for (int i = 0; i < 40'000; ++i) text.end() += fmt::format("{:019},", i);
  BodyPieces body = text.take();
  ASSERT_EQ(body.size(), 4u);
  const std::string expected = Response{.shared_body = body}.text();
  std::vector<std::weak_ptr<const std::string>> pieces(body.begin(), body.end());
  world.at_once = [&](const Request&, Responder responder) { responder.answer({.shared_body = body}); };
  auto& quick = world.connect();
  auto& slow = world.connect();
  slow.stops_reading();
  for (auto* peer : {&quick, &slow}) peer->sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world.run();
  body.clear();
  EXPECT_EQ(responses_in(quick.received())->front().body, expected);
  EXPECT_FALSE(pieces[3].expired()) << "one has still to send it";
  slow.takes(slow.send_buffer);
  world.run();
  slow.takes(slow.send_buffer);
  world.run();
  EXPECT_TRUE(pieces[0].expired()) << "both have sent it";
  EXPECT_FALSE(pieces[3].expired());
  slow.reads_on();
  world.run();
  EXPECT_EQ(responses_in(slow.received())->front().body, expected);
  EXPECT_TRUE(pieces[3].expired());
}

TEST(HttpServer, WhoReadsAsFastAsWeWriteLetsOthersThrough) {
  ScriptedWorld world;
  world.at_once = [](const Request& request, Responder responder) {
    responder.answer({.body = std::string(request.path == "/big" ? 8UL << 20U : 1, 'x')});
  };
  auto& big = world.connect();
  auto& small = world.connect();
  big.sends("GET /big HTTP/1.1\r\nHost: w\r\n\r\n");
  big.deliver();
  small.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  small.deliver();
  EXPECT_FALSE(small.received().empty());
  EXPECT_LT(big.received().size(), 1UL << 20U);
  world.run();
  EXPECT_EQ(responses_in(big.received())->front().body.size(), 8UL << 20U);
}

TEST(HttpServer, FinishingWaitsForTheAnswersThatAreUnderWay) {
  ScriptedWorld world;
  auto& idle = world.connect();
  auto& waits = world.connect();
  waits.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  auto& reads_slowly = world.connect();
  reads_slowly.stops_reading();
  reads_slowly.send_buffer = 10;
  reads_slowly.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world.run();
  std::swap(world.held[0], world.held[1]);
  world.answer({.body = "slow"});
  int finished = 0;
  world.server.finish([&] { ++finished; });
  world.server.finish([&] { finished += 10; });
  world.run();
  EXPECT_TRUE(idle.is_closed());
  world.answer({.body = "one"});
  world.run();
  EXPECT_EQ(finished, 0);
  reads_slowly.reads_on();
  world.run();
  EXPECT_EQ(finished, 1);
  EXPECT_EQ(responses_in(waits.received())->front().body, "one");
  EXPECT_EQ(responses_in(reads_slowly.received())->front().body, "slow");
}

TEST(HttpServer, FinishingWaitsASecondForWhoTakesNothing) {
  ScriptedWorld world;
  auto& deaf = world.connect();
  deaf.stops_reading();
  deaf.send_buffer = 10;
  deaf.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world.run();
  world.answer({.body = "never taken"});
  int finished = 0;
  world.server.finish([&] { ++finished; });
  world.pass(900ms);
  EXPECT_EQ(finished, 0);
  world.pass(200ms);
  EXPECT_EQ(finished, 1);
}

TEST(HttpServer, FinishingWithNothingUnderWayIsDoneAtOnce) {
  ScriptedWorld world;
  world.connect();
  int finished = 0;
  world.server.finish([&] { ++finished; });
  EXPECT_EQ(finished, 1);
}

TEST(HttpServer, StoppingEndsIdleConnectionsAndAnswersTheOthers) {
  ScriptedWorld world;
  auto& idle = world.connect();
  auto& waits = world.connect();
  waits.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\nGET /next HTTP/1.1\r\nHost: w\r\n\r\n");
  auto& begins = world.connect();
  begins.sends("GET / HTTP/1.1\r\nHost: w\r\n");
  world.run();
  world.server.stop();
  world.run();
  EXPECT_TRUE(idle.is_closed());
  begins.sends("\r\n");
  world.run();
  ASSERT_EQ(world.held.size(), 2u);
  world.answer({.body = "one"});
  world.answer({.body = "two"});
  world.run();
  for (ScriptedPeer* each : {&waits, &begins}) {
    const auto seen = responses_in(each->received());
    ASSERT_TRUE(seen && seen->size() == 1);
    EXPECT_NE(seen->front().head.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(each->saw_fin());
  }
  EXPECT_TRUE(world.held.empty()) << "no request is begun any more";
}

TEST(HttpServer, AConnectionThatCannotBeWatchedIsClosed) {
  ScriptedWorld world;
  ScriptedPeer peer;
  peer.can_be_watched = false;
  world.server.adopt(std::make_unique<ScriptedTransport>(peer));
  EXPECT_TRUE(peer.is_closed());
  EXPECT_EQ(world.server.connections(), 0u);
}

TEST(HttpServer, AHandlerMayStopTheServer) {
  ScriptedWorld world;
  world.at_once = [&](const Request&, Responder responder) {
    world.server.stop();
    responder.answer({.body = "bye"});
  };
  auto& peer = world.connect();
  peer.sends("GET / HTTP/1.1\r\nHost: w\r\n\r\n");
  world.run();
  EXPECT_EQ(responses_in(peer.received())->front().body, "bye");
  EXPECT_TRUE(peer.saw_fin());
}

TEST(HttpServerDeathTest, AnotherThreadMayNotAskWhileItServes) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto ask_from_outside = [] {
    ScriptedWorld world;
    std::promise<void> runs;
    world.loop->post([&runs] { runs.set_value(); });
    std::thread runner([&world] { world.loop->run(); });
    runs.get_future().wait();
    (void)world.server.has_room();
    world.loop->stop();
    runner.join();
  };
  EXPECT_DEATH(ask_from_outside(), "an object that lives on it, was called on a thread");
}

}  // namespace
}  // namespace weir::http
