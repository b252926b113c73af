#include "engine/lifecycle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "engine/engine_scene.h"
#include "engine/machine.h"

namespace weir::engine {
namespace {

using namespace std::chrono_literals;
using test::Peer;
using test::wait_until;
using testing::HasSubstr;

// run_to_end on the test's own thread. Signals are raised at that thread alone, where they are blocked
// and wait to be read; the second one from within what it says when it begins to drain.
class Lifecycle : public test::EngineScene {
 protected:
  Lifecycle() {
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before_);
    block_signals();
    make();
    observe();
  }
  ~Lifecycle() override {
    const timespec now{};
    sigset_t ours;
    ::sigemptyset(&ours);
    ::sigaddset(&ours, SIGINT);
    ::sigaddset(&ours, SIGTERM);
    while (::sigtimedwait(&ours, nullptr, &now) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
  }
  void open_session() {
    auto listener = std::make_shared<const Fd>(kernel_.listen(Address::parse_ip("127.0.0.1", 0).value(), {}).value());
    listener_ = listener;
    ProxySpec given = spec();
    given.given_listener = std::move(listener);
    where_ = add(std::move(given));
    engine_->start();
    client_ = Peer::connected_to(where_);
    server_ = server();
    ASSERT_TRUE(wait_until([&] {
      const std::lock_guard lock(journal_->mutex);
      return journal_->opened == 1;
    }));
  }
  auto run(
      std::optional<Nanos> drain, const std::function<void()>& when_draining = [] {}) -> Ending {
    const Fd signals = open_signals().value();
    return run_to_end(*engine_, signals,
                      {.drain = drain, .until_sessions_end = once_, .say = [&, when_draining](auto line) {
                         said_.emplace_back(line);
                         when_draining();
                       }});
  }
  sigset_t before_{};
  std::weak_ptr<const Fd> listener_;  // expired when the last worker has closed it
  std::string where_;
  Peer client_;
  Peer server_;
  bool once_ = false;
  std::vector<std::string> said_;
};

TEST_F(Lifecycle, ASignalWithoutSessionsEndsItAtOnceAndSilently) {
  add(spec());
  engine_->start();
  ::raise(SIGTERM);
  const Ending ending = run(1h);
  EXPECT_FALSE(ending.output_stuck);
  EXPECT_EQ(ending.totals.sessions, 0u);
  EXPECT_TRUE(said_.empty());
}

TEST_F(Lifecycle, ASignalStopsAcceptingAndLetsSessionsEnd) {
  open_session();
  ::raise(SIGINT);
  const Ending ending = run(1h, [&] {
    EXPECT_TRUE(wait_until([&] { return listener_.expired(); }));
    EXPECT_FALSE(Peer::connected_to(where_).is_open());
    client_.send("goes on");
    EXPECT_EQ(server_.read(), "goes on");
    client_.close();
    server_.close();
  });
  EXPECT_EQ(said_, std::vector<std::string>{"draining: 1 session open, at most 1h00m; a second signal ends it now"});
  EXPECT_EQ(journal_->closes, std::vector<std::string>{"client.fin"});
  EXPECT_EQ(ending.totals.sessions, 1u);
  EXPECT_EQ(ending.totals.bytes[0], 7u);
}

TEST_F(Lifecycle, ASecondSignalEndsThemNow) {
  open_session();
  ::raise(SIGINT);
  (void)run(std::nullopt, [] { ::raise(SIGTERM); });
  EXPECT_EQ(said_, std::vector<std::string>{"draining: 1 session open, no limit; a second signal ends it now"});
  EXPECT_EQ(client_.read(), "RST");
  EXPECT_EQ(server_.read(), "RST");
  EXPECT_EQ(journal_->closes, std::vector<std::string>{"shutdown (second signal)"});
}

TEST_F(Lifecycle, TheDrainTimeEndsThemToo) {
  open_session();
  ::raise(SIGTERM);
  const auto before = std::chrono::steady_clock::now();
  (void)run(30ms);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 30ms);
  EXPECT_EQ(client_.read(), "RST");
  EXPECT_EQ(journal_->closes, std::vector<std::string>{"drain"});
}

TEST_F(Lifecycle, OnceEndsAfterTheSessionWithoutASignal) {
  once_ = true;
  ProxySpec one = spec();
  one.accept_limit = 1;
  const std::string where = add(std::move(one));
  engine_->start();
  Peer client = Peer::connected_to(where);
  Peer server = this->server();
  client.close();
  server.close();
  const Ending ending = run(1h);
  EXPECT_EQ(ending.totals.sessions, 1u);
  EXPECT_EQ(ending.totals.refused_accepts, 0u);
  EXPECT_EQ(journal_->closes.size(), 1u) << "and it was shown";
}

TEST_F(Lifecycle, AClosedOutputEndsIt) {
  open_session();
  journal_->set(&test::Journal::takes_more, false);
  client_.send("x");
  const Ending ending = run(1h);
  EXPECT_FALSE(ending.output_stuck);
  EXPECT_EQ(server_.read(), "x");
  EXPECT_EQ(server_.read(), "RST");
}

TEST(Summary, IsOneLineWithWhatHappened) {
  Totals totals;
  totals.sessions = 3;
  totals.peak = 2;
  totals.bytes = {1'200'000, 41'500};
  EXPECT_EQ(summary(totals), "3 sessions (peak 2), 1.20 MB upstream, 41.5 kB downstream");
  for (int i = 0; i < 100; ++i) totals.connect_times.add(60us);
  EXPECT_THAT(summary(totals), HasSubstr(", connect p50 6"));
  EXPECT_THAT(summary(totals, {.chunks = 2, .bytes = 300}),
              HasSubstr(", 2 chunks (300 B) not shown as the view was too slow"));
  totals.sessions = 1;
  totals.connect_failures = 4;
  totals.refused_accepts = 5;
  totals.watchdog_trips = 6;
  EXPECT_THAT(summary(totals), testing::StartsWith("1 session (peak 2), "));
  totals.held_up = 1;
  totals.longest_held_up = std::chrono::milliseconds{1500};
  EXPECT_THAT(summary(totals), HasSubstr(", 1 session held up by the view (longest 1.50s)"));
  EXPECT_THAT(summary(totals), HasSubstr(", 4 upstream failures, accepting paused 5 times, watchdog tripped 6 times"));
  totals.connect_failures = totals.refused_accepts = totals.watchdog_trips = 1;
  EXPECT_THAT(summary(totals), HasSubstr(", 1 upstream failure, accepting paused 1 time, watchdog tripped 1 time"));
}

TEST(PollTimeout, IsNeitherNegativeNorMoreThanAnIntHolds) {
  EXPECT_EQ(poll_timeout(std::chrono::microseconds{1}), 1);
  EXPECT_EQ(poll_timeout(std::chrono::milliseconds{1500}), 1500);
  EXPECT_EQ(poll_timeout(Nanos{-5}), 0);
  for (const int days : {24, 25, 50, 3650}) EXPECT_EQ(poll_timeout(std::chrono::days{days}), 3'600'000) << days;
}

TEST(UsableMemory, ALimitIsReadAsTheKernelWritesIt) {
  EXPECT_EQ(bytes_of_memory_max("536870912\n"), 536'870'912U);
  EXPECT_EQ(bytes_of_memory_max("0\n"), 0U);
  for (const char* none : {"max\n", "", "nonsense", "-1", "99999999999999999999999"}) {
    EXPECT_EQ(bytes_of_memory_max(none), std::nullopt) << none;
  }
  EXPECT_GT(usable_memory(), 64U << 20U);
  EXPECT_LE(default_fault_bytes(), usable_memory() / 4);
}

TEST(UsableCores, AQuotaIsReadAsTheKernelWritesIt) {
  EXPECT_DOUBLE_EQ(cores_of_cpu_max("150000 100000\n"), 1.5);
  EXPECT_DOUBLE_EQ(cores_of_cpu_max("50000 100000\n"), 0.5);
  EXPECT_DOUBLE_EQ(cores_of_cpu_max("400000 50000"), 8.0);
  EXPECT_DOUBLE_EQ(cores_of_cpu_max("max 100000\n"), 0.0) << "none";
  EXPECT_DOUBLE_EQ(cores_of_cpu_max(""), 0.0) << "no such file";
  EXPECT_DOUBLE_EQ(cores_of_cpu_max("100000"), 0.0);
  EXPECT_DOUBLE_EQ(cores_of_cpu_max("0 100000"), 0.0);
  EXPECT_DOUBLE_EQ(cores_of_cpu_max("-1 100000"), 0.0);
  EXPECT_DOUBLE_EQ(cores_of_cpu_max("100000 0"), 0.0);
  EXPECT_DOUBLE_EQ(cores_of_cpu_max("nonsense"), 0.0);
}

TEST(UsableCores, AreAtLeastOneAndNoMoreThanThisProcessMayUse) {
  EXPECT_GE(usable_cores(), 1u);
  cpu_set_t allowed;
  ASSERT_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
  EXPECT_LE(usable_cores(), static_cast<unsigned>(CPU_COUNT(&allowed)));
}

TEST(UsableCores, FollowTheThreadsAffinity) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(usable_cores(), 1u);
  ::sched_setaffinity(0, sizeof before, &before);
}

}  // namespace
}  // namespace weir::engine
