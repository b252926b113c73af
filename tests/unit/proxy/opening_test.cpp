// A session from accept to its relay: lookup, addresses in turn, clocks, and the faults of its first phases.
#include "proxy/opening.h"

#include <gtest/gtest.h>

#include "proxy/opening_scene.h"

namespace weir::proxy::opening_scene {
namespace {

using namespace std::chrono_literals;

// --- resolving ---

using OpeningResolving = Scene;

TEST_F(OpeningResolving, AnAddressNeedsNoLookup) {
  EXPECT_EQ(begins(), "connect 10.0.0.1:5432");
  EXPECT_EQ(phase(), OpeningPhase::connecting);
  EXPECT_EQ(connects(), "done");
  EXPECT_EQ(phase(), OpeningPhase::over);
}

TEST_F(OpeningResolving, ANameIsLookedUpAndItsAddressConnected) {
  set_upstream_name();
  EXPECT_EQ(begins(), "resolve db.example:5432");
  EXPECT_EQ(phase(), OpeningPhase::resolving);
  EXPECT_EQ(resolves(net::Addresses{ip("10.0.0.2")}), "connect 10.0.0.2:5432");
  EXPECT_EQ(is_in_progress(), "");
  EXPECT_EQ(connects(), "done");
}

TEST_F(OpeningResolving, TakesAtMostItsTimeout) {
  set_upstream_name();
  set(TimeoutName::resolve, 2s);
  (void)begins();
  fails_after(2s, "closed by resolve after 2.00s with RST");
  EXPECT_EQ(resolves(net::Addresses{ip("10.0.0.2")}), "") << "the answer comes too late";
}

TEST_F(OpeningResolving, WithItsTimeoutOffItWaits) {
  set_upstream_name();
  set(TimeoutName::resolve, std::nullopt);
  (void)begins();
  EXPECT_EQ(due(), MonoTime::max());
}

TEST_F(OpeningResolving, ANameWithoutAnAddressEndsIt) {
  set_upstream_name();
  (void)begins();
  (void)passes(1500ms);
  EXPECT_EQ(resolves(failure("Name or service not known")),
            "closed by resolve.failed after 1.50s with RST: Name or service not known");
  EXPECT_TRUE(counts_for_upstream_);
}

// --- connecting ---

using OpeningConnecting = Scene;

TEST_F(OpeningConnecting, ARefusalEndsItWithAReset) {
  (void)begins();
  (void)passes(1200ms);
  EXPECT_EQ(fails(ECONNREFUSED), "closed by connect.refused after 1.20s with RST: 10.0.0.1:5432: Connection refused");
  EXPECT_TRUE(counts_for_upstream_);
  EXPECT_EQ(due(), MonoTime::max());
}

TEST_F(OpeningConnecting, OrInOrderWhereThatIsAskedFor) {
  settings_.rules.on_connect_failure = OnConnectFailure::close;
  (void)begins();
  EXPECT_EQ(fails(ECONNREFUSED), "closed by connect.refused after 0s with FIN: 10.0.0.1:5432: Connection refused");
}

TEST_F(OpeningConnecting, EachErrorHasItsCause) {
  for (const auto& [error, cause] : {std::pair{ECONNREFUSED, "connect.refused"},
                                     {ENOENT, "connect.refused"},
                                     {EHOSTUNREACH, "connect.unreachable"},
                                     {ENETUNREACH, "connect.unreachable"},
                                     {EHOSTDOWN, "connect.unreachable"},
                                     {ENETDOWN, "connect.unreachable"},
                                     {ETIMEDOUT, "connect.unreachable"},
                                     {EMFILE, "connect.failed"},
                                     {EACCES, "connect.failed"},
                                     {EAGAIN, "connect.failed"},
                                     {EADDRNOTAVAIL, "connect.failed"}}) {
    (void)begins();
    EXPECT_EQ(fails(error),
              std::string("closed by ") + cause + " after 0s with RST: 10.0.0.1:5432: " + errno_text(error));
  }
}

TEST_F(OpeningConnecting, TheNextAddressIsTriedWhenOneFails) {
  EXPECT_EQ(begins_with({ip("10.0.0.1"), ip("10.0.0.2")}), "connect 10.0.0.1:5432");
  EXPECT_EQ(is_in_progress(), "");
  EXPECT_EQ(fails(ECONNREFUSED), "connect 10.0.0.2:5432");
  EXPECT_EQ(opening_->server()->address, ip("10.0.0.2"));
  EXPECT_EQ(connects(), "done");
}

TEST_F(OpeningConnecting, WhenAllFailTheLastOneGivesTheCauseAndAllAreTold) {
  (void)begins_with({ip("10.0.0.1"), ip("10.0.0.2")});
  (void)fails(ECONNREFUSED);
  EXPECT_EQ(fails(ENETUNREACH),
            "closed by connect.unreachable after 0s with RST: 10.0.0.1:5432: Connection refused; "
            "10.0.0.2:5432: Network is unreachable");
}

TEST_F(OpeningConnecting, DozensOfAddressesDoNotMakeAnEndlessLine) {
  (void)begins_with(std::vector<Address>(60, ip("10.0.0.1")));
  for (int i = 0; i < 59; ++i) EXPECT_EQ(fails(ECONNREFUSED), "connect 10.0.0.1:5432");
  EXPECT_LT(fails(ECONNREFUSED).size(), 450u);
  EXPECT_EQ(phase(), OpeningPhase::over);
}

TEST_F(OpeningConnecting, TakesAtMostItsTimeoutAfterTheLookup) {
  set_upstream_name();
  set(TimeoutName::connect, 3s);
  (void)begins();
  (void)passes(4s);
  (void)resolves(net::Addresses{ip("10.0.0.1")});
  (void)is_in_progress();
  fails_after(3s, "closed by connect after 3.00s with RST: 10.0.0.1:5432: no answer");
}

TEST_F(OpeningConnecting, WithBothTimeoutsOffItWaits) {
  set(TimeoutName::connect, std::nullopt);
  (void)begins();
  (void)is_in_progress();
  EXPECT_EQ(due(), MonoTime::max());
}

TEST_F(OpeningConnecting, WhenAnAttemptTakesTooLongTheNextIsMade) {
  set(TimeoutName::connect_attempt, 1s);
  (void)begins_with({ip("10.0.0.1"), ip("10.0.0.2")});
  (void)is_in_progress();
  EXPECT_EQ(passes(1s - moment), "");
  EXPECT_EQ(passes(moment), "connect 10.0.0.2:5432");
  (void)is_in_progress();
  fails_after(1s,
              "closed by connect.attempt after 1.00s with RST: 10.0.0.1:5432: no answer in 1.00s; "
              "10.0.0.2:5432: no answer in 1.00s");
}

TEST_F(OpeningConnecting, ARefusalAfterAnAttemptThatTookTooLongIsARefusal) {
  set(TimeoutName::connect_attempt, 1s);
  (void)begins_with({ip("10.0.0.1"), ip("10.0.0.2")});
  (void)is_in_progress();
  (void)passes(1s);
  EXPECT_EQ(fails(ECONNREFUSED),
            "closed by connect.refused after 1.00s with RST: 10.0.0.1:5432: no answer in 1.00s; "
            "10.0.0.2:5432: Connection refused");
}

TEST_F(OpeningConnecting, WithoutAnAttemptTimeoutTheAddressesShareWhatConnectHasLeft) {
  set(TimeoutName::connect, 12s);
  (void)begins_with({ip("10.0.0.1"), ip("10.0.0.2"), ip("10.0.0.3")});
  (void)is_in_progress();
  EXPECT_EQ(passes(4s - moment), "") << "a third of 12 s";
  EXPECT_EQ(passes(moment), "connect 10.0.0.2:5432");
  (void)is_in_progress();
  EXPECT_EQ(passes(4s), "connect 10.0.0.3:5432") << "half of the 8 s left";
  (void)is_in_progress();
  EXPECT_EQ(due(), start + 12s) << "the last has all that is left";
}

TEST_F(OpeningConnecting, EachOfManyAddressesHasTwoSecondsAtLeast) {
  (void)begins_with({ip("10.0.0.1"), ip("10.0.0.2"), ip("10.0.0.3")});
  (void)is_in_progress();
  EXPECT_EQ(due(), start + 2s);
}

TEST_F(OpeningConnecting, AClientThatGoesEndsIt) {
  (void)begins();
  (void)is_in_progress();
  (void)passes(1s);
  EXPECT_EQ(breaks(LegName::client), "closed by client.reset after 1.00s with RST: before the upstream was reached");
  EXPECT_FALSE(counts_for_upstream_);
}

TEST_F(OpeningConnecting, ATimeoutThatIsChangedCountsFromTheSameMoment) {
  (void)begins();
  (void)is_in_progress();
  (void)passes(1s);
  set(TimeoutName::connect, 3s);
  opening_->rules_changed(rules(), now_);
  fails_after(2s, "closed by connect after 3.00s with RST: 10.0.0.1:5432: no answer");
}

TEST_F(OpeningConnecting, MaxDurationRunsFromAcceptThroughEveryPhase) {
  set(TimeoutName::max_duration, 7s);
  set(TimeoutName::resolve, 1h);
  set(TimeoutName::connect, 1h);
  set_upstream_name();
  (void)begins();
  (void)passes(4s);
  (void)resolves(net::Addresses{ip("10.0.0.1")});
  (void)is_in_progress();
  fails_after(3s, "closed by max_duration after 7.00s with RST");
}

// --- a Unix listener whose queue is full ---

class OpeningFullQueue : public Scene {
 protected:
  OpeningFullQueue() {
    set_upstream(socket_file("/run/db"));
    stops_at_question_ = true;
  }
};

TEST_F(OpeningFullQueue, IsAskedAgainAfterOneTwoFourUpTo128Milliseconds) {
  EXPECT_EQ(begins(), "connect unix:/run/db");
  std::vector<std::int64_t> waits;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(fails(EAGAIN), "");
    const MonoTime before = now_;
    EXPECT_EQ(passes(1s), "connect unix:/run/db");
    waits.push_back(std::chrono::duration_cast<std::chrono::milliseconds>(now_ - before).count());
  }
  EXPECT_EQ(waits, (std::vector<std::int64_t>{1, 2, 4, 8, 16, 32, 64, 128, 128, 128}));
  EXPECT_EQ(connects(), "done");
  EXPECT_EQ(due(), MonoTime::max());
}

TEST_F(OpeningFullQueue, HasAllOfTheTimeout) {
  (void)begins();
  std::string asked = fails(EAGAIN);
  while (phase() != OpeningPhase::over) {
    asked = passes(1s);
    if (asked == "connect unix:/run/db") asked = fails(EAGAIN);
  }
  EXPECT_EQ(now_, start + 5s);
}

TEST_F(OpeningFullQueue, OrAllOfItsAttempt) {
  set(TimeoutName::connect_attempt, 300ms);
  (void)begins();
  (void)fails(EAGAIN);
  std::string asked;
  do {
    asked = passes(1s);
    if (asked == "connect unix:/run/db") asked = fails(EAGAIN);
  } while (phase() != OpeningPhase::over);
  EXPECT_EQ(asked, "closed by connect.attempt after 300ms with RST: unix:/run/db: its queue stayed full in 300ms");
  EXPECT_EQ(now_, start + 300ms);
}

// --- faults of the first phases ---

using OpeningFaults = Scene;

TEST_F(OpeningFaults, RefuseResetsAtOnceWhateverAFailedConnectDoes) {
  settings_.rules.on_connect_failure = OnConnectFailure::close;
  set_faults({"refuse"});
  EXPECT_EQ(begins(), "fault refuse, closed by fault after 0s with RST: refuse");
  EXPECT_FALSE(counts_for_upstream_);
}

TEST_F(OpeningFaults, AcceptDelayAndConnectDelayComeOneAfterTheOther) {
  set_faults({"accept_delay delay=2s", "connect_delay delay=3s"});
  EXPECT_EQ(begins(), "fault accept_delay");
  EXPECT_EQ(phase(), OpeningPhase::accepted);
  EXPECT_EQ(passes(2s - moment), "");
  EXPECT_EQ(passes(moment), "fault connect_delay");
  EXPECT_EQ(phase(), OpeningPhase::connecting);
  EXPECT_EQ(passes(3s - moment), "");
  EXPECT_EQ(passes(moment), "connect 10.0.0.1:5432");
}

TEST_F(OpeningFaults, ADelayEndsWhenItsFaultIsRemoved) {
  set_faults({"accept_delay delay=1h"});
  (void)begins();
  (void)passes(1s);
  EXPECT_EQ(faults_become({}), "connect 10.0.0.1:5432");
}

TEST_F(OpeningFaults, AChangedDelayCountsFromItsBeginning) {
  set_faults({"accept_delay delay=1h"});
  (void)begins();
  (void)passes(4s);
  set_faults({"accept_delay delay=10s"});
  EXPECT_EQ(passes(6s - moment), "");
  EXPECT_EQ(passes(moment), "connect 10.0.0.1:5432");
}

TEST_F(OpeningFaults, ARefusalThatComesDuringADelayEndsIt) {
  set_faults({"accept_delay delay=1h"});
  (void)begins();
  (void)passes(4s);
  EXPECT_EQ(faults_become({"refuse"}), "closed by fault after 4.00s with RST: refuse");
}

TEST_F(OpeningFaults, ARefusalThatComesAfterItsPhaseRefusesNothing) {
  set_faults({"connect_delay delay=1h"});
  (void)begins();
  (void)passes(4s);
  EXPECT_EQ(faults_become({"refuse"}), "connect 10.0.0.1:5432");
}

TEST_F(OpeningFaults, ConnectDelayCountsForTheClockConnect) {
  set(TimeoutName::connect, 1s);
  set_faults({"connect_delay delay=5s"});
  (void)begins();
  fails_after(1s, "closed by connect after 1.00s with RST: while a fault delayed it");
}

TEST_F(OpeningFaults, AcceptDelayDoesNotCountForAnyClockButMaxDuration) {
  set(TimeoutName::max_duration, 1h);
  set_faults({"accept_delay delay=2h"});
  (void)begins();
  fails_after(1h, "closed by max_duration after 1h00m with RST");
}

}  // namespace
}  // namespace weir::proxy::opening_scene
