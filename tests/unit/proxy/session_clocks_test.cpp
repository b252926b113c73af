// The clocks of a relaying session alone, on virtual time: what starts each of them, moves it on and stops it.
#include "proxy/session_clocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;
using event::TimeoutName;

constexpr MonoTime start{1000s};
constexpr Nanos moment = 1ns;

// The clocks of a session that was accepted and connected at `start`, in which only the named ones are set.
class Clocks {
 public:
  Clocks(std::initializer_list<std::pair<TimeoutName, Nanos>> set) {
    for (const auto& info : event::timeout_catalog()) timeouts.set(info.name, std::nullopt);
    for (const auto& [name, value] : set) timeouts.set(name, value);
  }
  auto connects(Nanos age = {}) -> Clocks& {
    clocks.connected(now - age, now);
    return *this;
  }
  void passes(Nanos time) { now += time; }
  void client_speaks() { clocks.bytes_moved(1, 0, timeouts, now); }
  void server_speaks() { clocks.bytes_moved(0, 1, timeouts, now); }
  void both_speak() { clocks.bytes_moved(1, 1, timeouts, now); }
  void blocked(std::optional<MonoTime> upstream, std::optional<MonoTime> downstream) {
    clocks.write_blocked(upstream, downstream, timeouts);
  }
  void fin() { clocks.fin_read(timeouts, now); }
  void we_hold_back(bool held) { clocks.held_back(held, timeouts, now); }

  // Time until the next deadline; none: no clock runs.
  [[nodiscard]] auto left() const -> std::optional<Nanos> {
    const auto when = clocks.deadline(timeouts);
    return when ? std::optional<Nanos>(*when - now) : std::nullopt;
  }
  // "idle.client after 5s", and whose fault it is; "" while nothing has run out.
  [[nodiscard]] auto ran_out() const -> std::string {
    const auto clock = clocks.ran_out(timeouts, now);
    if (!clock) return "";
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(clock->value).count();
    return std::string(event::to_string(clock->name)) + " after " + std::to_string(seconds) + "s" +
           (clock->leg ? std::string(", the ") + to_string(*clock->leg) : "");
  }
  // Nothing happens: it runs out then and not a moment sooner.
  void run_out_after(Nanos time, std::string_view what) {
    EXPECT_EQ(left(), time);
    passes(time - moment);
    EXPECT_EQ(ran_out(), "") << "too early";
    passes(moment);
    EXPECT_EQ(ran_out(), what);
  }
  void never_run_out() {
    EXPECT_EQ(left(), std::nullopt);
    passes(100'000h);
    EXPECT_EQ(ran_out(), "");
  }
  [[nodiscard]] auto moved_closer() -> bool { return clocks.take_moved_closer(); }

  SessionClocks clocks;
  Timeouts timeouts;
  MonoTime now = start;
};

// --- the rows, one by one ---

TEST(SessionClocks, FirstByteClientCountsFromConnectedUntilTheClientSpeaks) {
  Clocks silent{{TimeoutName::first_byte_client, 3s}};
  silent.connects(1min);
  silent.passes(1s);
  silent.server_speaks();
  silent.run_out_after(2s, "first_byte.client after 3s, the client");

  Clocks speaks{{TimeoutName::first_byte_client, 3s}};
  speaks.connects().client_speaks();
  speaks.never_run_out();
}

TEST(SessionClocks, FirstByteServerCountsFromConnectedUntilTheServerSpeaks) {
  Clocks silent{{TimeoutName::first_byte_server, 3s}};
  silent.connects(1min);
  silent.passes(1s);
  silent.client_speaks();
  silent.run_out_after(2s, "first_byte.server after 3s, the server");

  Clocks speaks{{TimeoutName::first_byte_server, 3s}};
  speaks.connects().server_speaks();
  speaks.never_run_out();
}

TEST(SessionClocks, NoFirstByteIsWaitedForAfterAFin) {
  Clocks clocks{{TimeoutName::first_byte_client, 3s}, {TimeoutName::first_byte_server, 3s}};
  clocks.connects().fin();
  clocks.never_run_out();
}

TEST(SessionClocks, BytesReadBeforeTheRelayAreTheFirstOnes) {
  Clocks client{{TimeoutName::first_byte_client, 3s}};
  client.connects().clocks.prefilled(LegName::client);
  client.never_run_out();

  Clocks server{{TimeoutName::first_byte_server, 3s}};
  server.connects().clocks.prefilled(LegName::server);
  server.never_run_out();
}

TEST(SessionClocks, IdleCountsFromConnectedAndFromEveryByte) {
  Clocks clocks{{TimeoutName::idle, 10s}};
  clocks.connects(1min);
  EXPECT_EQ(clocks.left(), 10s);
  clocks.passes(9s);
  clocks.client_speaks();
  EXPECT_EQ(clocks.left(), 10s);
  clocks.passes(9s);
  clocks.server_speaks();
  clocks.run_out_after(10s, "idle after 10s");
}

TEST(SessionClocks, IdleClientRunsWhileItIsTheClientsTurn) {
  Clocks clocks{{TimeoutName::idle_client, 5s}};
  clocks.connects();
  EXPECT_EQ(clocks.left(), 5s) << "before any byte";
  clocks.client_speaks();
  EXPECT_EQ(clocks.left(), std::nullopt);
  clocks.passes(1h);
  clocks.server_speaks();
  clocks.run_out_after(5s, "idle.client after 5s, the client");
}

TEST(SessionClocks, IdleServerRunsWhileItIsTheServersTurn) {
  Clocks clocks{{TimeoutName::idle_server, 5s}};
  clocks.connects();
  EXPECT_EQ(clocks.left(), std::nullopt) << "before any byte";
  clocks.passes(1h);
  clocks.client_speaks();
  clocks.passes(4s);
  clocks.server_speaks();
  EXPECT_EQ(clocks.left(), std::nullopt);
  clocks.client_speaks();
  clocks.run_out_after(5s, "idle.server after 5s, the server");
}

TEST(SessionClocks, TheTurnIsTheClientsWhenBothSpokeInOneStep) {
  Clocks clocks{{TimeoutName::idle_client, 5s}, {TimeoutName::idle_server, 1s}};
  clocks.connects().both_speak();
  clocks.run_out_after(5s, "idle.client after 5s, the client");
}

TEST(SessionClocks, WriteStallCountsFromTheLastByteTakenAndBlamesTheLegThatTakesNone) {
  Clocks clocks{{TimeoutName::write_stall, 20s}};
  clocks.connects();
  clocks.blocked(std::nullopt, std::nullopt);
  EXPECT_EQ(clocks.left(), std::nullopt);
  clocks.passes(1h);
  clocks.blocked(clocks.now, std::nullopt);
  clocks.passes(15s);
  clocks.blocked(clocks.now, std::nullopt);  // it took some
  clocks.run_out_after(20s, "write_stall after 20s, the server");
  clocks.blocked(std::nullopt, clocks.now);
  clocks.run_out_after(20s, "write_stall after 20s, the client");
  clocks.blocked(std::nullopt, std::nullopt);
  clocks.never_run_out();
}

TEST(SessionClocks, WriteStallBlamesTheLegThatIsStalledLonger) {
  Clocks clocks{{TimeoutName::write_stall, 20s}};
  clocks.connects();
  clocks.blocked(start + 2s, start + 1s);
  clocks.passes(1h);
  EXPECT_EQ(clocks.ran_out(), "write_stall after 20s, the client");
  clocks.blocked(start + 1s, start + 2s);
  EXPECT_EQ(clocks.ran_out(), "write_stall after 20s, the server");
}

TEST(SessionClocks, HalfCloseCountsFromTheFirstFinAndFromEveryByteAfter) {
  Clocks clocks{{TimeoutName::half_close, 30s}};
  clocks.connects();
  clocks.passes(1h);
  EXPECT_EQ(clocks.left(), std::nullopt);
  clocks.fin();
  clocks.passes(20s);
  clocks.fin();
  EXPECT_EQ(clocks.left(), 10s) << "the second FIN changes nothing";
  clocks.server_speaks();
  clocks.run_out_after(30s, "half_close after 30s");
}

TEST(SessionClocks, MaxDurationCountsFromAcceptWhateverHappens) {
  Clocks clocks{{TimeoutName::max_duration, 60s}};
  clocks.connects(20s);
  clocks.passes(10s);
  clocks.client_speaks();
  clocks.fin();
  clocks.run_out_after(30s, "max_duration after 60s");
}

TEST(SessionClocks, EveryClockOfARelayingSessionIsAmongThese) {
  std::set<std::string_view> texts;
  for (const auto& row : event::timeout_catalog()) {
    if (row.phase == event::ClockPhase::relaying || row.phase == event::ClockPhase::session) texts.insert(row.text);
  }
  EXPECT_EQ(texts, (std::set<std::string_view>{"first_byte.client", "first_byte.server", "idle", "idle.client",
                                               "idle.server", "write_stall", "half_close", "max_duration"}));
}

// --- several at once ---

TEST(SessionClocks, TheSoonestIsTheDeadlineAndIsNamed) {
  Clocks clocks{{TimeoutName::idle, 3s}, {TimeoutName::idle_client, 2s}, {TimeoutName::max_duration, 4s}};
  clocks.connects();
  EXPECT_EQ(clocks.left(), 2s);
  clocks.passes(1h);
  EXPECT_EQ(clocks.ran_out(), "idle.client after 2s, the client");
}

TEST(SessionClocks, OfThoseThatRunOutAtOneMomentTheOneThatSaysMostIsNamed) {
  using enum TimeoutName;
  Clocks clocks{{idle, 5s},        {half_close, 5s},  {idle_client, 5s}, {first_byte_server, 5s},
                {write_stall, 5s}, {max_duration, 5s}};
  clocks.connects();
  clocks.blocked(clocks.now, std::nullopt);
  clocks.passes(5s);
  const auto named_and_then_off = [&](TimeoutName name) {
    const auto clock = clocks.clocks.ran_out(clocks.timeouts, clocks.now);
    ASSERT_TRUE(clock);
    EXPECT_EQ(event::to_string(clock->name), event::to_string(name));
    clocks.timeouts.set(name, std::nullopt);
  };
  for (const auto name : {max_duration, write_stall, first_byte_server, idle_client, idle}) named_and_then_off(name);

  Clocks closing{{idle, 5s}, {half_close, 5s}, {idle_client, 5s}};
  closing.connects().fin();
  closing.passes(5s);
  EXPECT_EQ(closing.ran_out(), "idle.client after 5s, the client");
  closing.timeouts.set(idle_client, std::nullopt);
  EXPECT_EQ(closing.ran_out(), "half_close after 5s");
}

TEST(SessionClocks, AllOffMeansThatNoneRuns) {
  Clocks clocks{};
  clocks.connects().client_speaks();
  clocks.blocked(clocks.now, clocks.now);
  clocks.fin();
  clocks.never_run_out();
}

TEST(SessionClocks, AValueThatIsChangedCountsFromTheSameMoment) {
  Clocks clocks{{TimeoutName::idle, 10s}};
  clocks.connects();
  clocks.passes(4s);
  clocks.timeouts.set(TimeoutName::idle, 5s);
  clocks.run_out_after(1s, "idle after 5s");
}

// --- pauses of our own ---

struct Pausing {
  TimeoutName name;
  std::function<void(Clocks&)> begin;
};
class PausedClocks : public testing::TestWithParam<Pausing> {};

TEST_P(PausedClocks, StandStillAndGoOnFromWhereTheyStood) {
  Clocks clocks{{GetParam().name, 10s}};
  clocks.connects();
  GetParam().begin(clocks);
  clocks.passes(4s);
  clocks.we_hold_back(true);
  EXPECT_EQ(clocks.left(), std::nullopt);
  clocks.passes(1h);
  EXPECT_EQ(clocks.ran_out(), "");
  clocks.we_hold_back(false);
  EXPECT_EQ(clocks.left(), 6s);
  clocks.we_hold_back(true);
  clocks.passes(1h);
  clocks.we_hold_back(false);
  EXPECT_EQ(clocks.left(), 6s) << "after a second pause too";
}

TEST_P(PausedClocks, StartAnewIfTheirFactComesDuringThePause) {
  Clocks clocks{{GetParam().name, 10s}};
  clocks.connects();
  clocks.passes(4s);
  clocks.we_hold_back(true);
  clocks.passes(1h);
  GetParam().begin(clocks);
  clocks.passes(1h);
  clocks.we_hold_back(false);
  const bool counts_from_connected =
      GetParam().name == TimeoutName::first_byte_client || GetParam().name == TimeoutName::first_byte_server;
  EXPECT_EQ(clocks.left(), counts_from_connected ? 6s : 10s);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, PausedClocks,
    testing::Values(Pausing{TimeoutName::first_byte_client, [](Clocks&) {}},
                    Pausing{TimeoutName::first_byte_server, [](Clocks&) {}},
                    Pausing{TimeoutName::idle, [](Clocks& clocks) { clocks.client_speaks(); }},
                    Pausing{TimeoutName::idle_client, [](Clocks& clocks) { clocks.server_speaks(); }},
                    Pausing{TimeoutName::idle_server, [](Clocks& clocks) { clocks.client_speaks(); }},
                    Pausing{TimeoutName::half_close, [](Clocks& clocks) { clocks.fin(); }}),
    [](const auto& each) {
      std::string name(event::to_string(each.param.name));
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

TEST(SessionClocks, MaxDurationRunsOnWhileWeHoldBytesBack) {
  Clocks clocks{{TimeoutName::max_duration, 10s}};
  clocks.connects();
  clocks.passes(4s);
  clocks.we_hold_back(true);
  clocks.run_out_after(6s, "max_duration after 10s");
}

TEST(SessionClocks, WriteStallRunsOnWhileWeHoldBytesBack) {
  Clocks clocks{{TimeoutName::write_stall, 10s}};
  clocks.connects();
  clocks.blocked(clocks.now, std::nullopt);
  clocks.passes(4s);
  clocks.we_hold_back(true);
  clocks.passes(1s);
  clocks.we_hold_back(false);
  clocks.run_out_after(5s, "write_stall after 10s, the server");
}

// --- what is announced ---

TEST(SessionClocks, AFactThatStartsAClockAnnouncesACloserDeadline) {
  using enum TimeoutName;
  Clocks clocks{{idle, 10s}, {idle_server, 1s}, {write_stall, 1s}, {half_close, 5s}};
  clocks.connects();
  EXPECT_TRUE(clocks.moved_closer());
  EXPECT_FALSE(clocks.moved_closer()) << "it is told once";
  clocks.client_speaks();
  EXPECT_TRUE(clocks.moved_closer()) << "the server's turn begins";
  clocks.client_speaks();
  EXPECT_FALSE(clocks.moved_closer()) << "a byte only moves clocks on";
  clocks.server_speaks();
  EXPECT_FALSE(clocks.moved_closer()) << "idle.client is off";
  clocks.blocked(clocks.now, std::nullopt);
  EXPECT_TRUE(clocks.moved_closer());
  clocks.blocked(clocks.now + 1s, std::nullopt);
  EXPECT_FALSE(clocks.moved_closer());
  clocks.blocked(std::nullopt, std::nullopt);
  EXPECT_FALSE(clocks.moved_closer());
  clocks.fin();
  EXPECT_TRUE(clocks.moved_closer());
  clocks.we_hold_back(true);
  EXPECT_FALSE(clocks.moved_closer()) << "clocks only stop";
  clocks.we_hold_back(false);
  EXPECT_TRUE(clocks.moved_closer());
}

TEST(SessionClocks, AClockThatIsOffAnnouncesNothing) {
  Clocks clocks{{TimeoutName::max_duration, 1h}};
  clocks.connects();
  ASSERT_TRUE(clocks.moved_closer());
  clocks.client_speaks();
  clocks.blocked(clocks.now, clocks.now);
  clocks.fin();
  clocks.we_hold_back(true);
  clocks.we_hold_back(false);
  EXPECT_FALSE(clocks.moved_closer());
}

// --- silence ---

TEST(SessionClocks, TheLongestSilenceIsKept) {
  Clocks clocks{};
  clocks.connects(1h);
  clocks.passes(3s);
  clocks.client_speaks();
  clocks.passes(2s);
  clocks.server_speaks();
  clocks.passes(1s);
  EXPECT_EQ(clocks.clocks.longest_silence(), 3s);
  EXPECT_EQ(clocks.clocks.silence(clocks.now), 1s);
  clocks.we_hold_back(true);
  clocks.passes(4s);
  clocks.we_hold_back(false);
  EXPECT_EQ(clocks.clocks.silence(clocks.now), 5s) << "a pause of ours is silence too";
  clocks.clocks.ended(clocks.now);
  EXPECT_EQ(clocks.clocks.longest_silence(), 5s);
}

TEST(SessionClocks, ASessionThatNeverRelayedHasNoSilence) {
  Clocks clocks{{TimeoutName::idle, 1s}};
  clocks.clocks.ended(clocks.now);
  EXPECT_EQ(clocks.clocks.longest_silence(), 0s);
  clocks.never_run_out();
}

}  // namespace
}  // namespace weir::proxy
