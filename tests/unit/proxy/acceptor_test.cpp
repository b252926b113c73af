#include "proxy/acceptor.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "proxy/session_scene.h"

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;
using live::Felt;
using live::Peer;

class Accepting : public live::SessionScene {
 protected:
  void start() {
    auto listener = kernel_.listen(live::loopback(), {}).value();
    address_ = net::local_address(listener.get()).value();
    proxy().acceptors.push_back(
        std::make_unique<Acceptor>(*worker_, proxy(), std::make_shared<const Fd>(std::move(listener))));
    ASSERT_TRUE(proxy().acceptors[0]->start());
  }
  auto connect() -> Peer {
    auto connecting = kernel_.connect(address_, {});
    EXPECT_TRUE(connecting);
    return connecting ? Peer(std::move(connecting->fd)) : Peer();
  }
  auto refused() -> bool {
    const auto connecting = kernel_.connect(address_, {});
    if (!connecting) return connecting.error().code == ECONNREFUSED;
    int outcome = EALREADY;
    net::test::wait_until([&] { return (outcome = net::connect_outcome(connecting->fd.get())) != EALREADY; });
    return outcome == ECONNREFUSED;
  }
  auto live_become(std::uint64_t count) -> bool {
    return turn_until([&] { return shared_->live.load() == count; });
  }
  Address address_;
};

TEST_F(Accepting, EveryClientBecomesASessionNumberedInOrder) {
  start();
  std::vector<Peer> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(connect());
  EXPECT_TRUE(live_become(10));
  EXPECT_EQ(shared_->accepted.load(), 10u);
  EXPECT_EQ(shared_->peak.load(), 10u);
  std::set<SessionNumber> numbers;
  worker_->each_session([&](const Session& session) { numbers.insert(session.number()); });
  EXPECT_EQ(numbers.size(), 10u);
  EXPECT_EQ(*numbers.begin(), SessionNumber{1});
  EXPECT_EQ(*numbers.rbegin(), SessionNumber{10});
}

TEST_F(Accepting, APlaceThatAnotherWorkerTookForNobodyIsNoSession) {
  ASSERT_TRUE(shared_->take_place(std::nullopt));  // it is about to find the queue empty
  start();
  Peer client = connect();
  EXPECT_TRUE(live_become(1));
  EXPECT_EQ(shared_->peak.load(), 1u);
}

TEST_F(Accepting, AFewATurnSoThatSessionsHaveTheirShare) {
  start();
  std::vector<Peer> clients;
  for (int i = 0; i < 10; ++i) clients.push_back(connect());
  turn();
  EXPECT_EQ(shared_->accepted.load(), static_cast<std::uint64_t>(Acceptor::accepts_per_turn));
}

TEST_F(Accepting, AClientThatIsGoneAlreadyIsASessionThatEnds) {
  start();
  connect().reset();
  EXPECT_TRUE(turn_until([&] { return !closed_.empty() || shared_->accepted.load() == 0; }));
  Peer next = connect();
  EXPECT_TRUE(this->server().is_open());
}

TEST_F(Accepting, WithoutADescriptorItWaits100MillisecondsAndRecovers) {
  start();
  Peer client = connect();
  {
    const live::NoDescriptorLeft none;
    settle();
    EXPECT_EQ(shared_->refused_accepts.load(), 1u);
    const auto events = loop_->counters().events;
    settle();
    EXPECT_EQ(loop_->counters().events, events) << "it is told again and again: it spins";
  }
  pass(Acceptor::pause - 1ms);
  EXPECT_EQ(shared_->accepted.load(), 0u);
  pass(1ms + net::TimerWheel::tick_length);
  EXPECT_EQ(shared_->accepted.load(), 1u);
  EXPECT_TRUE(this->server().is_open());
}

TEST_F(Accepting, IfThereIsStillNoneItWaitsAgain) {
  start();
  Peer client = connect();
  const live::NoDescriptorLeft none;
  settle();
  pass(Acceptor::pause + net::TimerWheel::tick_length);
  pass(Acceptor::pause + net::TimerWheel::tick_length);
  EXPECT_EQ(shared_->refused_accepts.load(), 3u);
}

TEST_F(Accepting, AListenerThatAnotherProcessShutDownIsNoReasonToSpin) {
  start();
  auto listener = std::make_shared<const Fd>(kernel_.listen(live::loopback(), {}).value());
  proxy().acceptors.push_back(std::make_unique<Acceptor>(*worker_, proxy(), listener));
  ASSERT_TRUE(proxy().acceptors[1]->start());
  ASSERT_EQ(::shutdown(listener->get(), SHUT_RD), 0);
  settle();
  const auto events = loop_->counters().events;
  settle();
  EXPECT_EQ(loop_->counters().events, events);
  Peer client = connect();  // the other one goes on
  EXPECT_TRUE(live_become(1));
}

TEST_F(Accepting, OverMaxSessionsTheNextWaitsInTheQueueUntilOneEnds) {
  settings_->rules.max_sessions = 2;
  start();
  std::vector<Peer> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(connect());
  settle();
  EXPECT_EQ(shared_->live.load(), 2u);
  clients[2].look();
  EXPECT_EQ(clients[2].felt(), Felt::nothing) << "it is neither served nor turned away";
  EXPECT_EQ(shared_->refused_accepts.load(), 1u);
  for (int i = 0; i < 20; ++i) pass(Acceptor::pause);
  EXPECT_EQ(shared_->refused_accepts.load(), 1u) << "one wait is counted once, however long";

  clients[0].reset();  // and without time passing, the third is served
  EXPECT_TRUE(turn_until([&] { return shared_->accepted.load() == 3; }));
  EXPECT_EQ(shared_->live.load(), 2u);
  EXPECT_EQ(shared_->peak.load(), 2u);
}

TEST_F(Accepting, AfterAcceptLimitTheListenerIsClosed) {
  settings_->accept_limit = 2;
  start();
  Peer first = connect();
  Peer second = connect();
  EXPECT_TRUE(live_become(2));
  EXPECT_TRUE(refused());
  EXPECT_EQ(shared_->accepted.load(), 2u);
  EXPECT_EQ(shared_->refused_accepts.load(), 0u) << "that is no waiting";
  first.reset();
  second.reset();
  EXPECT_TRUE(live_become(0));
  pass(1s);
  EXPECT_TRUE(refused());
}

TEST_F(Accepting, WhoIsInTheQueueWhenTheLimitIsReachedIsReset) {
  settings_->accept_limit = 1;
  start();
  std::vector<Peer> clients;
  clients.push_back(connect());
  clients.push_back(connect());
  EXPECT_TRUE(live_become(1));
  EXPECT_TRUE(feels(clients[1], Felt::reset));
  EXPECT_EQ(shared_->accepted.load(), 1u);
}

TEST_F(Accepting, ALimitOfAllListenersOfAProxyClosesAllOfThem) {
  settings_->accept_limit = 1;
  start();
  auto other = kernel_.listen(live::loopback(), {}).value();
  const Address other_address = net::local_address(other.get()).value();
  proxy().acceptors.push_back(
      std::make_unique<Acceptor>(*worker_, proxy(), std::make_shared<const Fd>(std::move(other))));
  ASSERT_TRUE(proxy().acceptors[1]->start());
  Peer client = connect();
  EXPECT_TRUE(live_become(1));
  address_ = other_address;
  EXPECT_TRUE(refused());
}

TEST_F(Accepting, AnObserverFarBehindStopsNewSessionsUntilItCatchesUp) {
  proxy();
  for (std::size_t i = 0; i < 6000; ++i) {  // more than the ring and its overflow hold
    ring_->push({MonoTime{}, ProxyId{}, SessionNumber{i}, std::make_shared<const event::SessionClosed>()},
                event::EventKind::session_closed);
  }
  ASSERT_FALSE(ring_->accepts_sessions());
  start();
  Peer client = connect();
  for (int i = 0; i < 20; ++i) loop_->run_once(0ns);  // nobody reads the ring
  EXPECT_EQ(shared_->accepted.load(), 0u);
  EXPECT_EQ(shared_->refused_accepts.load(), 1u);
  pass(2s);
  const auto held = ring_->held_up().figures(loop_->now());
  EXPECT_EQ(held.listeners, 1u);
  EXPECT_GE(held.since, 2s);
  EXPECT_GE(held.waited, 2s);
  settle();  // the observer reads, and the worker is told of the room
  worker_->resume_parked();
  EXPECT_TRUE(live_become(1));
  EXPECT_EQ(ring_->held_up().figures(loop_->now()).listeners, 0u);
}

TEST_F(Accepting, StoppedItIsClosedAndSessionsGoOn) {
  start();
  Peer client = connect();
  Peer server = this->server();
  worker_->stop_accepting();
  EXPECT_TRUE(refused());
  server.send("still here");
  EXPECT_TRUE(hears(client, "still here"));
}

// Two workers on threads of their own, one listener, real time.
class TwoWorkers : public testing::Test {
 protected:
  static constexpr std::size_t workers = 2;

  void start(std::optional<std::uint64_t> max_sessions, std::optional<std::uint64_t> accept_limit = {}) {
    auto settings = std::make_shared<ProxySettings>();
    const Address to = net::local_address(upstream_.get()).value();
    settings->rules.upstream = {to, to.to_string()};
    settings->rules.max_sessions = max_sessions;
    settings->accept_limit = accept_limit;
    auto listener = std::make_shared<const Fd>(kernel_.listen(live::loopback(), {}).value());
    address_ = net::local_address(listener->get()).value();
    std::vector<Worker*> peers;
    for (auto& worker : workers_) peers.push_back(worker.get());
    for (std::size_t i = 0; i < workers; ++i) {
      auto added = std::make_unique<ProxyOnWorker>();
      added->settings = settings;
      added->shared = shared_;
      added->sockets = std::make_unique<net::KernelSockets>();
      added->peers = peers;
      ProxyOnWorker& proxy = workers_[i]->add_proxy(std::move(added));
      proxy.acceptors.push_back(std::make_unique<Acceptor>(*workers_[i], proxy, listener));
      ASSERT_TRUE(proxy.acceptors[0]->start());
    }
    listener.reset();
    for (auto& loop : loops_) threads_.emplace_back([&loop] { loop->run(); });
  }
  ~TwoWorkers() override {
    for (auto& loop : loops_) loop->stop();
    for (auto& thread : threads_) thread.join();
  }
  auto connect() -> Peer {
    auto connecting = kernel_.connect(address_, {});
    return connecting ? Peer(std::move(connecting->fd)) : Peer();
  }

  live::FakeResolver resolver_;
  std::array<std::unique_ptr<net::EventLoop>, workers> loops_{net::EventLoop::create(SystemClock::instance()).value(),
                                                              net::EventLoop::create(SystemClock::instance()).value()};
  std::array<std::unique_ptr<Worker>, workers> workers_{std::make_unique<Worker>(*loops_[0], resolver_),
                                                        std::make_unique<Worker>(*loops_[1], resolver_)};
  std::vector<std::thread> threads_;
  std::shared_ptr<ProxyShared> shared_ = std::make_shared<ProxyShared>();
  net::KernelSockets kernel_;
  Fd upstream_ = kernel_.listen(live::loopback(), {}).value();
  Address address_;
};

TEST_F(TwoWorkers, ShareTheSessions) {
  start({});
  constexpr std::uint64_t count = 200;
  std::vector<Peer> clients;
  for (std::uint64_t i = 0; i < count; ++i) clients.push_back(connect());
  ASSERT_TRUE(net::test::wait_until([&] { return workers_[0]->load() + workers_[1]->load() == count; }));
  EXPECT_EQ(shared_->accepted.load(), count);
  EXPECT_GE(workers_[0]->load(), count / 5) << "of 200";
  EXPECT_GE(workers_[1]->load(), count / 5) << "of 200";
  for (Peer& client : clients) client.reset();
  EXPECT_TRUE(net::test::wait_until([&] { return shared_->live.load() == 0; }));
}

TEST_F(TwoWorkers, TogetherNeverExceedMaxSessions) {
  constexpr std::uint64_t most = 3;
  start(most);
  std::vector<Peer> clients;
  for (int i = 0; i < 60; ++i) clients.push_back(connect());
  std::uint64_t seen = 0;
  for (auto& client : clients) {  // each ends as soon as it is served
    seen = std::max(seen, shared_->live.load());
    ASSERT_TRUE(net::test::wait_until([&] { return workers_[0]->load() + workers_[1]->load() > 0; }));
    client.reset();
  }
  EXPECT_TRUE(net::test::wait_until([&] { return shared_->accepted.load() == 60 && shared_->live.load() == 0; }));
  EXPECT_LE(seen, most);
  EXPECT_LE(shared_->peak.load(), most);
}

TEST_F(TwoWorkers, ReachTheLimitOfAcceptsTogetherAndBothCloseTheListener) {
  start({}, 4);
  std::vector<Peer> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(connect());
  EXPECT_TRUE(net::test::wait_until([&] { return shared_->accepted.load() == 4; }));
  EXPECT_TRUE(net::test::wait_until([&] {
    const auto late = kernel_.connect(address_, {});
    return !late || net::connect_outcome(late->fd.get()) == ECONNREFUSED;
  }));
  EXPECT_EQ(shared_->accepted.load(), 4u);
}

}  // namespace
}  // namespace weir::proxy
