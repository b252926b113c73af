// Causes that show in the whole of an exchange or a session.
#include "diagnose/told.h"

namespace weir::diagnose {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SessionCausesTest : public CausesTest {};

// --- cork ---

TEST_F(SessionCausesTest, AnswersThatAllTakeWhatACorkTakesAreCorked) {
  story.begins();
  for (const auto length : {208ms, 205ms, 212ms, 206ms, 208ms, 209ms}) {
    story.client_sends("q").after(length).server_sends("answer").after(50us);
  }
  story.closes();
  EXPECT_THAT(told(), ElementsAre("think server likely 208", "think server likely 205", "think server likely 212",
                                  "think server likely 206", "cork server likely 208", "cork server likely 209"));
  EXPECT_EQ(sum("cork").times, 6u) << "those before it are known by then";
  EXPECT_EQ(sum("cork").lost, 1248ms);
  EXPECT_EQ(sum("think").lost, Nanos{}) << "and are counted once";
}

TEST_F(SessionCausesTest, AClientThatAsksEachTimeAfterACorksTimeIsNotSaidToCork) {
  story.begins();
  for (int i = 0; i < 6; ++i) story.after(208ms).client_sends("q").after(100us).server_sends("a");
  story.closes();
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(sum("cork").times, 0u);
}

TEST_F(SessionCausesTest, TheTailBehindFullSegmentsIsCorkedToo) {
  story.counts(LegName::server).receive_mss = 1448;
  story.begins();
  for (int i = 0; i < 6; ++i) {
    story.client_sends("q").after(1us).server_sends(std::string(2896, 'x')).after(208ms).server_sends("tail");
  }
  story.closes();
  EXPECT_EQ(sum("cork").lost, 6 * 208ms);
  EXPECT_EQ(sum("unknown").times, 0u);
}

TEST_F(SessionCausesTest, ThinkingOfTwoHundredMillisecondsIsNoCork) {
  story.begins();
  for (const auto length : {200'100us, 200'200us, 203'900us, 200'100us, 200'400us, 200'100us, 200'100us}) {
    story.client_sends("q").after(length).server_sends("answer");
  }
  story.closes();
  EXPECT_EQ(sum("cork").times, 0u);
  EXPECT_EQ(sum("think").times, 7u);
}

TEST_F(SessionCausesTest, ThatTheFirstExchangeWasFastSaysThatNothingIsCorked) {
  story.begins();
  story.client_sends("q").after(1ms).server_sends("answer");
  for (int i = 0; i < 20; ++i) story.client_sends("q").after(208ms).server_sends("answer");
  story.closes();
  EXPECT_EQ(sum("cork").times, 0u);
}

TEST_F(SessionCausesTest, ThinkingThatVariesAroundTwoHundredMillisecondsIsNoCork) {
  story.begins();
  for (const auto length : {206ms, 192ms, 211ms, 199ms, 205ms, 207ms, 196ms, 205ms, 209ms}) {
    story.client_sends("q").after(length).server_sends("answer");
  }
  story.closes();
  EXPECT_EQ(sum("cork").times, 0u);
}

// --- a connection per exchange ---

TEST_F(SessionCausesTest, SessionsOfASingleRequestEachThatTookLongToConnect) {
  for (std::uint64_t i = 1; i <= 10; ++i) {
    Story each = another(i);
    each.accepted().after(21ms).tried(0, 21ms).opened().client_sends("q").after(20ms).server_sends("r").closes();
  }
  EXPECT_EQ(sum("connection_per_exchange").times, 7u) << "from the fourth on";
  EXPECT_EQ(sum("connection_per_exchange").lost, 7 * 21ms);
  EXPECT_EQ(sum("connection_per_exchange").side, Side::client);
  EXPECT_EQ(sum("unknown").times, 3u);
  EXPECT_EQ(diagnosis.report().exchange_time, 10 * 41ms);
}

TEST_F(SessionCausesTest, ThatConnectingIsShortDoesNotHideIt) {
  for (std::uint64_t i = 1; i <= 10; ++i) {
    another(i).accepted().after(300us).opened().client_sends("q").after(200us).server_sends("r").closes();
  }
  EXPECT_EQ(sum("connection_per_exchange").lost, 7 * 300us);
}

TEST_F(SessionCausesTest, ConnectionsThatAreUsedAgainAreNoneOfAnExchangeEach) {
  for (std::uint64_t i = 1; i <= 10; ++i) {
    Story each = another(i);
    each.accepted().after(21ms).opened().client_sends("q").after(20ms).server_sends("r");
    if (i % 3 == 0) each.client_sends("q").after(20ms).server_sends("r");
    each.closes();
  }
  EXPECT_EQ(sum("connection_per_exchange").times, 0u);
}

TEST_F(SessionCausesTest, ConnectingThatIsLittleOfTheTimeIsLeftAlone) {
  for (std::uint64_t i = 1; i <= 10; ++i) {
    another(i).accepted().after(21ms).opened().client_sends("q").after(80ms).server_sends("r").closes();
  }
  EXPECT_EQ(sum("connection_per_exchange").times, 0u);
}

TEST_F(SessionCausesTest, ASlowNameOwnsTheTimeOfConnecting) {
  for (std::uint64_t i = 1; i <= 10; ++i) {
    Story each = another(i);
    each.accepted().resolved("db", 20ms).after(21ms).opened().client_sends("q").after(2ms).server_sends("r").closes();
  }
  EXPECT_EQ(sum("name_lookup").times, 10u);
  EXPECT_EQ(sum("connection_per_exchange").times, 0u);
}

// --- chatty ---

class ChattyTest : public SessionCausesTest {
 protected:
  void path(Nanos client, Nanos server) {
    story.counts(LegName::client).least_round_trip = client;
    story.counts(LegName::server).least_round_trip = server;
  }
  void ask(int i, Nanos gap, Nanos answer) {
    story.after(gap).client_sends(fmt::format("SELECT name FROM t WHERE id = {} AND k = 'k{}'", i, i * i));
    story.after(answer).server_sends("row");
  }
};

TEST_F(ChattyTest, APageOfQueriesThatAreAlikePaysARoundTripEach) {
  path({}, 20ms);
  story.begins();
  for (int i = 0; i < 50; ++i) ask(i, 100us, 21ms);
  story.closes();
  EXPECT_EQ(sum("chatty").times, 50u);
  EXPECT_EQ(sum("chatty").lost, 50 * 20ms);
  EXPECT_EQ(sum("think").lost, 50 * 1ms) << "what is not the path's is the server's";
  EXPECT_EQ(sum("chatty").certainty, Certainty::likely);
}

TEST_F(ChattyTest, OnTheClientsSideItIsTheTimeBeforeEachRequest) {
  path(20ms, {});
  story.begins();
  for (int i = 0; i < 50; ++i) ask(i, i == 0 ? 0ms : 20ms - 100us, 200us);
  story.closes();
  EXPECT_EQ(sum("chatty").times, 49u) << "before the first there was none";
  EXPECT_EQ(diagnosis.report().idle, Nanos{});
}

TEST_F(ChattyTest, NineteenAreNotManyYet) {
  path({}, 20ms);
  story.begins();
  for (int i = 0; i < 19; ++i) ask(i, 100us, 21ms);
  story.closes();
  EXPECT_EQ(sum("chatty").times, 0u);
  EXPECT_EQ(sum("think").lost, 19 * 21ms);
}

TEST_F(ChattyTest, AHiccupNowAndThenDoesNotEndThePage) {
  path({}, 20ms);
  story.begins();
  for (int i = 0; i < 50; ++i) ask(i, i % 10 == 9 ? 30ms : 100us, i % 15 == 14 ? 60ms : 21ms);
  story.closes();
  EXPECT_EQ(sum("chatty").times, 50u - 5 - 3 + 1) << "but for those themselves; the thirtieth has both";
}

TEST_F(ChattyTest, PagesOfFiveQueriesAreNotOne) {
  path({}, 20ms);
  story.begins();
  for (int i = 0; i < 100; ++i) ask(i, i % 5 == 0 ? 1s : 100us, 21ms);
  story.closes();
  EXPECT_EQ(sum("chatty").times, 0u);
}

TEST_F(ChattyTest, OneInThreeIsNoHiccup) {
  path({}, 20ms);
  story.begins();
  for (int i = 0; i < 100; ++i) ask(i, 100us, i % 3 == 2 ? 60ms : 21ms);
  story.closes();
  EXPECT_EQ(sum("chatty").times, 0u);
}

TEST_F(ChattyTest, NextToTheServerThereIsNoRoundTripToSave) {
  path(30us, 40us);
  story.begins();
  for (int i = 0; i < 1000; ++i) ask(i, 20us, 100us);
  story.closes();
  EXPECT_EQ(sum("chatty").times, 0u);
}

TEST_F(ChattyTest, RequestsThatDifferAClientThatThinksAndASlowServerAreNotChatty) {
  path({}, 20ms);
  story.begins();
  for (int i = 0; i < 50; ++i) {
    story.client_sends(i % 2 == 0 ? "GET /a" : "PUT /b").after(21ms).server_sends("row").after(100us);
  }
  for (int i = 0; i < 50; ++i) ask(i, 25ms, 21ms);
  for (int i = 0; i < 50; ++i) ask(i, 100us, 60ms);
  story.closes();
  EXPECT_EQ(sum("chatty").times, 0u);
}

// --- undecided ---

TEST_F(SessionCausesTest, AnAnswerAsLateAsALostOneIsUndecided) {
  story.counts(LegName::server).least_round_trip = 20ms;
  story.begins();
  for (int i = 0; i < 8; ++i) story.client_sends("q").after(120ms).server_sends("r");
  story.client_sends("q");
  (void)told();
  story.after(347ms).server_sends("r");
  story.client_sends("q").after(120ms).server_sends("r").closes();
  EXPECT_THAT(told(), ElementsAre("undecided server likely 347", "think server likely 120"));
  EXPECT_THAT(sum("undecided").longest.text, HasSubstr("227ms later than usual"));
}

TEST_F(SessionCausesTest, WhatNoTimerOfALostPacketTakesIsThinking) {
  story.counts(LegName::server).least_round_trip = 20ms;
  story.begins();
  for (int i = 0; i < 8; ++i) story.client_sends("q").after(120ms).server_sends("r");
  for (const auto length : {150ms, 250ms, 500ms}) story.client_sends("q").after(length).server_sends("r");
  story.closes();
  EXPECT_EQ(sum("undecided").times, 0u);
}

TEST_F(SessionCausesTest, OnThisHostNothingIsLost) {
  story.counts(LegName::server).least_round_trip = 40us;
  story.begins();
  for (int i = 0; i < 8; ++i) story.client_sends("q").after(120ms).server_sends("r");
  story.client_sends("q").after(347ms).server_sends("r").closes();
  EXPECT_EQ(sum("undecided").times, 0u);
}

// --- one owner a stretch ---

TEST_F(SessionCausesTest, NoStretchOfTimeHasTwoOwners) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    Story each = another(seed);
    each.counts(LegName::client).least_round_trip = seed % 3 * 5ms;
    each.counts(LegName::server).least_round_trip = seed % 4 * 7ms;
    each.accepted().after(seed % 5 * 400us).opened().counters(LegName::client).counters(LegName::server);
    unsigned random = seed;
    const auto draw = [&random](unsigned below) { return (random = random * 1'103'515'245 + 12'345) / 65'536 % below; };
    const unsigned exchanges = draw(60);
    for (unsigned i = 0; i < exchanges; ++i) {
      const std::array lengths{100us, 900us, 7'000us, 15'000us, 41'000us, 208'000us};
      const auto some = [&] { return lengths.at(seed % 7 == 0 ? 5 : draw(lengths.size())); };
      each.after(some()).client_sends("select 1", draw(4) == 0 ? 2ms : 0ms);
      if (draw(3) == 0) each.after(some()).client_sends("more");
      each.after(some()).server_sends("answer");
      if (draw(3) == 0) each.after(some()).server_sends("more");
    }
    each.closes();
    const Report report = diagnosis.report();
    Nanos lost{};
    for (const CauseSum& cause : report.causes) lost += cause.lost;
    ASSERT_LE(lost, report.exchange_time) << "seed " << seed;
  }
}

}  // namespace
}  // namespace weir::diagnose
