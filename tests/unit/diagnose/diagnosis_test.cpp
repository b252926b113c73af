#include <deque>

#include "diagnose/ack_proof.h"
#include "diagnose/report.h"
#include "diagnose/story.h"

namespace weir::diagnose {
namespace {

using namespace test;
using testing::ElementsAre;
using testing::HasSubstr;

class DiagnosisTest : public testing::Test {
 protected:
  int verdicts = 0;
  Diagnosis diagnosis{{.server = "db:5432",
                       .exchanges = 1000,
                       .on_verdict = [this](const ToldVerdict&) { ++verdicts; },
                       .acknowledge_at_once = {}}};
  auto story(std::uint64_t session) -> Story {
    return Story([this](const event::Event& event) { diagnosis.on_event(event, Nanos{}); }, session);
  }
  // The page of the story: so many queries of 296 bytes, the second piece of each 40 ms late but for the first.
  void split_page(std::uint64_t session, int queries) {
    Story page = story(session);
    page.begins();
    for (int i = 0; i < queries; ++i) {
      page.client_sends(std::string(126, '.') + "00")
          .after(i == 0 ? 100us : 40ms)
          .client_sends("0000 AND a.st" + std::string(155, '.'));
      page.after(300us).server_sends("row").after(50us);
    }
    page.closes();
  }
};

TEST_F(DiagnosisTest, AddsUpWhatEachCauseCost) {
  split_page(1, 100);
  const Report report = diagnosis.report();
  EXPECT_EQ(report.sessions, 1u);
  EXPECT_EQ(report.exchanges, 100u);
  ASSERT_EQ(report.causes.size(), 2u);
  EXPECT_EQ(report.causes[0].cause->name, "split_write");
  EXPECT_EQ(report.causes[0].times, 99u);
  EXPECT_EQ(report.causes[0].lost, 99 * 40ms);
  EXPECT_EQ(report.causes[1].cause->name, "think");
  EXPECT_EQ(report.causes[1].times, 100u);
  EXPECT_EQ(report.causes[1].lost, 100 * 300us);
  EXPECT_EQ(report.exchange_time, 99 * 40ms + 100us + 100 * 300us);
}

TEST_F(DiagnosisTest, TellsWhoWhyAndWhatToChange) {
  split_page(1, 100);
  const auto wide = report_lines(diagnosis.report(), 1000);
  EXPECT_EQ(wide[0], "1 session, 100 exchanges in 4.00s; 99.2% of their time was lost to one cause");
  EXPECT_THAT(wide[2], HasSubstr("99.2%       99  client 10.0.0.7           split_write: writes each request in two"));
  EXPECT_THAT(wide[4], HasSubstr("fix: one write per request (writev), or TCP_NODELAY; the cut is after byte 128: \""));
  EXPECT_THAT(wide[4], HasSubstr("00|0000 AND a.st"));
  for (const std::string& line : report_lines(diagnosis.report(), 80)) EXPECT_LE(line.size(), 80u) << line;
}

TEST_F(DiagnosisTest, TheTimeOfAnExchangeThatIsOpenCounts) {
  Story page = story(1);
  page.begins().client_sends("a").after(40ms).client_sends("b").after(1ms).server_sends("r");
  page.counters(LegName::client).counters(LegName::server);
  const Report report = diagnosis.report();
  EXPECT_EQ(report.exchanges, 0u) << "nobody knows yet that it has ended";
  EXPECT_EQ(report.exchange_time, 41ms) << "no share is more than the whole";
  page.closes();
  EXPECT_EQ(diagnosis.report().exchanges, 1u);
  EXPECT_EQ(diagnosis.report().exchange_time, 41ms);
}

TEST_F(DiagnosisTest, EachClientHasARowOfItsOwn) {
  split_page(1, 10);
  Story other = story(2);
  other.client = ip("10.0.0.8", 40000);
  other.begins().client_sends("a").after(40ms).client_sends("b").server_sends("r").closes();
  EXPECT_EQ(diagnosis.report().sessions, 2u);
  EXPECT_EQ(diagnosis.report().causes[0].who, "client 10.0.0.7");
  EXPECT_EQ(diagnosis.report().causes[1].who, "client 10.0.0.8");
}

TEST_F(DiagnosisTest, CountersToldInTheMidstOfAPauseAreNotThoseBeforeIt) {
  BlockPool blocks;
  Story page = story(1);
  page.begins().client_sends("q").counters(LegName::client).counters(LegName::server);
  // Two segments came behind a hole, and the kernel has counted them before the hole is filled.
  page.counts(LegName::server).out_of_order_in += 2;
  page.after(21ms).counters(LegName::server).after(20ms);
  page.tell(
      event::ChunkRead{blocks.copy(std::as_bytes(std::span("answer"))), 0, start + 1100us, Direction::downstream});
  page.counters(LegName::server).counters(LegName::client).closes();
  const Report report = diagnosis.report();
  const auto lost = std::ranges::find(report.causes, "peer_loss", [](const CauseSum& sum) { return sum.cause->name; });
  ASSERT_NE(lost, report.causes.end());
}

TEST_F(DiagnosisTest, WhatAClientDoesBetweenExchangesIsInNoShare) {
  story(1).begins().after(10s).client_sends("q").after(1ms).server_sends("r").closes();
  const Report report = diagnosis.report();
  EXPECT_EQ(report.idle, 10s);
  ASSERT_EQ(report.causes.size(), 1u);
  EXPECT_EQ(report.causes[0].cause->name, "think");
  EXPECT_EQ(report.exchange_time, 1ms);
}

TEST_F(DiagnosisTest, APauseOfARequestThatWasNotAnsweredCounts) {
  story(1).begins().client_sends("a").after(40ms).client_sends("b").closes();
  const Report report = diagnosis.report();
  EXPECT_EQ(report.exchanges, 0u);
  EXPECT_EQ(report.unanswered, 1u);
  EXPECT_EQ(report.exchange_time, 40ms);
  ASSERT_EQ(report.causes.size(), 1u);
  EXPECT_EQ(report.causes[0].cause->name, "split_write");
  EXPECT_EQ(report_lines(report, 200)[0],
            "1 session, 0 exchanges and 1 unanswered request in 40.1ms; 100.0% of their time was lost to one cause");
}

TEST_F(DiagnosisTest, WhatWasNotSeenIsCountedAndMeasuredAnew) {
  Story page = story(1);
  page.begins().client_sends("q").misses(7).after(10s).server_sends("r").after(1s).client_sends("q");
  page.after(2ms).server_sends("r").closes();
  const Report report = diagnosis.report();
  EXPECT_EQ(report.sessions, 1u);
  EXPECT_EQ(report.missed, 7u);
  EXPECT_EQ(report.exchanges, 1u);
  ASSERT_EQ(report.causes.size(), 1u);
  EXPECT_EQ(report.causes[0].lost, 2ms) << "10 s of which nothing is known are nobody's";
  EXPECT_THAT(report_lines(report, 80).back(), HasSubstr("7 events were not seen"));
}

TEST_F(DiagnosisTest, ASessionSeenFromItsMiddleIsMeasuredFromThere) {
  Story page = story(1);
  page.opened();  // told with the time at which it was opened, as is who it connects
  page.tell(std::make_shared<const event::LegsConnected>()).after(10s);
  page.server_sends("the rest of an answer").after(1s).client_sends("q").after(2ms).server_sends("r").closes();
  const Report report = diagnosis.report();
  EXPECT_EQ(report.exchanges, 1u);
  EXPECT_EQ(report.idle, 1s);
  ASSERT_EQ(report.causes.size(), 1u) << "10 s of which nothing is known are nobody's";
  EXPECT_EQ(report.causes[0].lost, 2ms);
}

TEST_F(DiagnosisTest, SaysWhatIsOpenAndWhoHoldsIt) {
  Story page = story(1);
  page.begins().client_sends("query").after(5ms).server_sends("r").counters(LegName::client);
  const auto at = [&](Nanos since) { return diagnosis.open_exchanges(start + since); };
  // 5.1 ms after the start it was answered.
  auto open = at(6ms);
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].segment, Segment::server_sends);
  EXPECT_EQ(open[0].bytes, (std::array<std::uint64_t, 2>{5, 1}));
  ASSERT_TRUE(open[0].verdict) << "its longest pause";
  EXPECT_EQ(open[0].verdict->length, 5ms);
  EXPECT_TRUE(at(2s).empty()) << "an answer that was silent for a second is over";
  page.after(10ms).client_sends("next");  // at 15.1 ms
  open = at(115'100us);
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].exchange, 2u);
  EXPECT_EQ(open[0].segment, Segment::server_answers);
  EXPECT_EQ(open[0].side, Side::server);
  EXPECT_EQ(open[0].who, "server db:5432");
  EXPECT_EQ(open[0].held, 100ms);
  ASSERT_TRUE(open[0].verdict);
  EXPECT_EQ(open[0].verdict->cause, &think_cause);
  EXPECT_EQ(open[0].verdict->certainty, Certainty::likely);
  EXPECT_EQ(open[0].verdict->length, 100ms);
  page.closes();
  EXPECT_TRUE(at(10s).empty());
}

TEST_F(DiagnosisTest, WhatASinkDoesNotTakeIsNotWeirs) {
  Story page = story(1);
  page.begins();
  BlockPool blocks;
  page.tell(event::ChunkRead{blocks.copy(std::as_bytes(std::span("query", 5))), 0, std::nullopt, Direction::upstream});
  const auto open = diagnosis.open_exchanges(start + 1s);
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].segment, Segment::passes);
  EXPECT_EQ(open[0].side, Side::server);
  EXPECT_FALSE(open[0].verdict) << "whether Weir is late the kernel tells behind the pause";
}

TEST_F(DiagnosisTest, AConnectionThatIsNotMadeYetIsOpen) {
  story(1).accepted();
  const auto open = diagnosis.open_exchanges(start + 300ms);
  ASSERT_EQ(open.size(), 1u);
  EXPECT_EQ(open[0].exchange, 0u);
  EXPECT_EQ(open[0].segment, Segment::connecting);
}

TEST_F(DiagnosisTest, SumsByCauseAndSideAndCountsExchanges) {
  split_page(1, 10);
  story(2).begins().client_sends("q").after(60ms).server_sends("r").closes();
  diagnosis.on_end();  // none waits for what other sessions will show
  const auto losses = diagnosis.losses();
  ASSERT_EQ(losses.size(), 2u);
  for (const Loss& loss : losses) {
    EXPECT_EQ(loss.lost, loss.cause == &think_cause ? 10 * 300us + 60ms : 9 * 40ms) << loss.cause->name;
  }
  const ExchangeTimes times = diagnosis.exchange_times();
  EXPECT_EQ(times.counts.at(0), 1u) << "400 us";
  EXPECT_EQ(times.counts.at(6), 9u) << "40.3 ms, of at most 50";
  EXPECT_EQ(times.counts.at(7), 1u) << "60 ms";
  EXPECT_EQ(times.sum, 9 * 40ms + 100us + 10 * 300us + 60ms);
}

TEST_F(DiagnosisTest, ASessionWhoseEndWasMissedIsForgottenInTheEnd) {
  for (std::uint64_t i = 1; i <= 3; ++i) story(i).begins().client_sends("q");
  EXPECT_EQ(diagnosis.open_exchanges(start + 1ms).size(), 3u);
  story(9).tell(event::Gap{.events = 5});
  story(2).client_sends("it lives");
  story(9).tell(event::Gap{.events = 5});
  story(2).client_sends("still");
  EXPECT_EQ(diagnosis.open_exchanges(start + 1ms).size(), 1u);
  EXPECT_EQ(diagnosis.report().sessions, 3u);
}

TEST_F(DiagnosisTest, IsFullAfterSoManyExchanges) {
  split_page(1, 999);
  EXPECT_TRUE(diagnosis.flush());
  split_page(2, 1);
  EXPECT_FALSE(diagnosis.flush());
}

TEST_F(DiagnosisTest, KeepsTheLongestPausesAndIsBounded) {
  Story page = story(1);
  page.begins();
  for (int i = 1; i <= 500; ++i) page.client_sends("q").after(std::chrono::milliseconds{i}).server_sends("r");
  page.closes();
  const Report report = diagnosis.report();
  ASSERT_EQ(report.worst.size(), Ledger::most_worst);
  EXPECT_EQ(report.worst.front().length, 500ms);
  EXPECT_EQ(report.worst.back().length, 401ms);
}

TEST_F(DiagnosisTest, ManyClientsShareARowInTheEnd) {
  for (std::uint64_t i = 1; i <= 2 * Ledger::most_rows; ++i) {
    Story each = story(i);
    each.client = ip(fmt::format("10.0.{}.{}", i / 250, 1 + i % 250), 1);
    each.begins().client_sends("a").after(40ms).client_sends("b").server_sends("r").closes();
  }
  const Report report = diagnosis.report();
  EXPECT_LE(report.causes.size(), Ledger::most_rows + 2);
  std::uint64_t times = 0;
  for (const CauseSum& sum : report.causes) times += sum.cause->name == "split_write" ? sum.times : 0;
  EXPECT_EQ(times, 2 * Ledger::most_rows) << "none is left out of the sums";
}

TEST(AckProof, TakesTheDelayAwayAfterStallsInARowAndPutsItBack) {
  AckProof proof;
  for (int i = 0; i < 4; ++i) EXPECT_EQ(proof.on_exchange(true, 42ms), AckProof::Step::nothing);
  EXPECT_EQ(proof.on_exchange(false, 1ms), AckProof::Step::nothing) << "not in a row";
  for (int i = 0; i < 4; ++i) EXPECT_EQ(proof.on_exchange(true, 42ms), AckProof::Step::nothing);
  EXPECT_EQ(proof.on_exchange(true, 42ms), AckProof::Step::take_delay_away);
  EXPECT_EQ(proof.on_exchange(true, 42ms), AckProof::Step::nothing) << "it had begun before";
  for (unsigned i = 1; i < AckProof::exchanges_tried; ++i) {
    EXPECT_EQ(proof.on_exchange(i == 3, 100us), AckProof::Step::nothing) << "one may be late for another reason";
  }
  EXPECT_FALSE(proof.proven());
  EXPECT_EQ(proof.on_exchange(false, 100us), AckProof::Step::put_it_back);
  EXPECT_EQ(proof.proven(), 100us);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(proof.on_exchange(true, 42ms), AckProof::Step::nothing) << "once a session";
}

TEST(AckProof, ProvesNothingIfTheStallsStay) {
  AckProof proof;
  for (int i = 0; i < 5; ++i) (void)proof.on_exchange(true, 42ms);
  for (unsigned i = 0; i < AckProof::exchanges_tried; ++i) (void)proof.on_exchange(true, 42ms);
  EXPECT_EQ(proof.on_exchange(true, 42ms), AckProof::Step::put_it_back);
  EXPECT_FALSE(proof.proven());
}

// Eight sessions ask at once, and a lock lets one after another have its 20 ms, three times over.
class ConvoyTest : public DiagnosisTest {
 protected:
  void convoy() {
    for (std::uint64_t i = 0; i < 8; ++i) sessions.emplace_back(tell, i + 1).begins().client_sends("q");
    for (int round = 0; round < 3; ++round) {
      for (Story& session : sessions) {
        now += 20ms;
        session.after(now - session.now()).server_sends("r");
        if (round < 2) session.client_sends("q");
      }
    }
  }
  std::function<void(const event::Event&)> tell = [this](const event::Event& event) {
    diagnosis.on_event(event, Nanos{});
  };
  MonoTime now = start + 100us;
  std::deque<Story> sessions;
};

TEST_F(ConvoyTest, WhatAPatternClaimsIsNoThought) {
  convoy();
  const Report open = diagnosis.report();
  for (Story& session : sessions) session.after(now - session.now()).closes();
  diagnosis.on_end();
  const Report report = diagnosis.report();
  ASSERT_EQ(report.causes.size(), 2u);
  EXPECT_EQ(report.causes[0].cause->name, "lock_convoy");
  EXPECT_EQ(report.causes[0].times, 23u);
  EXPECT_THAT(report.causes[0].longest.text, HasSubstr("serves one request at a time, 20.0ms each"));
  EXPECT_EQ(report.causes[1].cause->name, "think");
  EXPECT_EQ(report.causes[1].times, 1u) << "the first had the lock at once";
  EXPECT_EQ(report.causes[1].lost, 20ms);
  Nanos lost{};
  for (const CauseSum& sum : report.causes) lost += sum.lost;
  EXPECT_EQ(lost, report.exchange_time) << "nothing is counted twice, nothing is left out";
  ASSERT_FALSE(open.causes.empty());
  EXPECT_EQ(open.causes[0].cause->name, "lock_convoy") << "while verdicts still wait, too";
}

TEST_F(ConvoyTest, AVerdictWaitsASecondForItsPattern) {
  story(9).begins().client_sends("q").after(30ms).server_sends("r").closes();
  EXPECT_EQ(diagnosis.report().causes[0].cause->name, "think") << "a report does not wait";
  EXPECT_EQ(verdicts, 0);
  story(10).after(900ms).begins().client_sends("q");
  EXPECT_EQ(verdicts, 0);
  story(11).after(1100ms).begins().client_sends("q");
  EXPECT_EQ(verdicts, 1);
}

TEST_F(DiagnosisTest, NothingSeenIsToldToo) {
  EXPECT_THAT(report_lines(diagnosis.report(), 80), ElementsAre("0 sessions, 0 exchanges in 0s"));
}

}  // namespace
}  // namespace weir::diagnose
