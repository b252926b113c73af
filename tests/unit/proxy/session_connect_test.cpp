// The connecting phase: addresses in turn, clocks, close causes, and what the client feels.
#include <gtest/gtest.h>

#include "proxy/session.h"
#include "proxy/session_scene.h"

namespace weir::proxy {
namespace {

using namespace std::chrono_literals;
using live::Felt;
using live::Peer;
using live::TimeoutName;
using net::test::Folder;
using net::test::FullListener;

constexpr Nanos tick = net::TimerWheel::tick_length;

class Connecting : public live::SessionScene {
 protected:
  // A client whose upstream's name has these addresses.
  auto client_for(const net::Addresses& addresses) -> Peer {
    set_upstream_name();
    Peer client = this->client();
    resolver_.answer(addresses, resolver_.asked.size() - 1);
    settle();
    return client;
  }
  // An address on which nobody listens.
  static auto refusing() -> Address {
    net::KernelSockets kernel;
    const Fd gone = kernel.listen(live::loopback(), {}).value();
    return net::local_address(gone.get()).value();
  }
  FullListener silent_{live::loopback()};
  FullListener silent_too_{live::loopback()};
  Folder folder_;
};

// --- what connect(2) can say ---

TEST_F(Connecting, ARefusalIsFeltAsAReset) {
  const Address nobody = refusing();
  set_upstream(nobody);
  Peer client = this->client();
  EXPECT_EQ(ends(), "closed by connect.refused after 0s");
  EXPECT_EQ(detail(), nobody.to_string() + ": Connection refused");
  EXPECT_TRUE(feels(client, Felt::reset));
  EXPECT_EQ(closed_[0].upstream, std::nullopt);
  EXPECT_TRUE(opened_.empty());
  EXPECT_EQ(worker_->counters().connect_failures, 1u);
}

TEST_F(Connecting, OrAsAnEndWhereThatIsAskedFor) {
  settings_->rules.on_connect_failure = OnConnectFailure::close;
  set_upstream(refusing());
  Peer client = this->client();
  EXPECT_EQ(ends(), "closed by connect.refused after 0s");
  EXPECT_TRUE(feels(client, Felt::fin));
}

TEST_F(Connecting, TheAgeOfTheSessionIsTheTimeThatIsTold) {
  set_upstream_name();
  Peer client = this->client();
  pass(1200ms);
  resolver_.answer(net::Addresses{refusing()});
  EXPECT_EQ(ends(), "closed by connect.refused after 1.20s");
}

struct Refusal {
  int error;
  const char* ending;
};
class ConnectErrors : public Connecting, public testing::WithParamInterface<Refusal> {};

TEST_P(ConnectErrors, HaveTheirCauses) {
  sockets().errors[upstream_address_.to_string()] = GetParam().error;
  Peer client = this->client();
  EXPECT_EQ(ends(), GetParam().ending);
  EXPECT_EQ(detail(), upstream_address_.to_string() + ": " + errno_text(GetParam().error));
  EXPECT_TRUE(feels(client, Felt::reset));
}

INSTANTIATE_TEST_SUITE_P(All, ConnectErrors,
                         testing::Values(Refusal{ECONNREFUSED, "closed by connect.refused after 0s"},
                                         Refusal{ENOENT, "closed by connect.refused after 0s"},
                                         Refusal{EHOSTUNREACH, "closed by connect.unreachable after 0s"},
                                         Refusal{ENETUNREACH, "closed by connect.unreachable after 0s"},
                                         Refusal{EHOSTDOWN, "closed by connect.unreachable after 0s"},
                                         Refusal{ENETDOWN, "closed by connect.unreachable after 0s"},
                                         Refusal{ETIMEDOUT, "closed by connect.unreachable after 0s"},
                                         Refusal{EMFILE, "closed by connect.failed after 0s"},
                                         Refusal{EACCES, "closed by connect.failed after 0s"},
                                         Refusal{EADDRNOTAVAIL, "closed by connect.failed after 0s"}),
                         [](const auto& each) { return std::to_string(each.param.error); });

TEST_F(Connecting, AMissingUnixSocketIsARefusal) {
  set_upstream(live::unix_address(folder_.path("none.sock")));
  Peer client = this->client();
  EXPECT_EQ(ends(), "closed by connect.refused after 0s");
  EXPECT_EQ(detail(), "unix:" + folder_.path("none.sock") + ": No such file or directory");
}

TEST_F(Connecting, NoDescriptorLeftIsToldWithTheWayOut) {
  set_upstream_name();
  Peer client = this->client();
  {
    const live::NoDescriptorLeft none;
    resolver_.answer(net::Addresses{upstream_address_});
    EXPECT_EQ(ends(), "closed by connect.failed after 0s");
  }
  EXPECT_EQ(detail(), "cannot make a socket: Too many open files (raise ulimit -n)");
  EXPECT_TRUE(feels(client, Felt::reset));
  Peer next = this->client();  // with descriptors it works again
  resolver_.answer(net::Addresses{upstream_address_}, 1);
  EXPECT_TRUE(this->server().is_open());
}

// --- several addresses ---

TEST_F(Connecting, TheNextAddressIsTriedWhenOneRefuses) {
  const Address first = refusing();
  Peer client = client_for({first, upstream_address_});
  Peer server = this->server();
  EXPECT_EQ(sockets().asked, (std::vector<Address>{first, upstream_address_}));
  server.send("welcome");
  EXPECT_TRUE(hears(client, "welcome"));
  ASSERT_EQ(opened_.size(), 1u);
  EXPECT_EQ(opened_[0].upstream, upstream_address_);
}

// A refusal comes with a hang-up; were it remembered, every short read would cost a second recv for ever.
TEST_F(Connecting, WhatHappenedToOneSocketIsNotHeldAgainstTheNext) {
  Peer client = client_for({refusing(), upstream_address_});
  Peer server = this->server();
  server.send("welcome");
  ASSERT_TRUE(hears(client, "welcome"));
  auto& relay = const_cast<SocketRelay&>(only_session().relay());  // looked at, not changed
  EXPECT_FALSE(relay.server().short_read_proves_nothing);
  EXPECT_FALSE(relay.server().readable);
  EXPECT_FALSE(relay.server().broken);
}

TEST_F(Connecting, WhenAllFailTheLastOneGivesTheCauseAndAllAreTold) {
  const Address first = refusing();
  const Address second = Address::parse_ip("127.0.0.1", 9).value();
  sockets().errors[second.to_string()] = ENETUNREACH;
  Peer client = client_for({first, second});
  EXPECT_EQ(ends(), "closed by connect.unreachable after 0s");
  EXPECT_EQ(detail(), first.to_string() + ": Connection refused; " + second.to_string() + ": Network is unreachable");
}

TEST_F(Connecting, DozensOfAddressesDoNotMakeAnEndlessLine) {
  net::Addresses many;
  for (std::uint16_t port = 1; port <= 60; ++port) many.push_back(live::loopback(port));
  for (const Address& each : many) sockets().errors[each.to_string()] = ECONNREFUSED;
  Peer client = client_for(many);
  EXPECT_EQ(ends(), "closed by connect.refused after 0s");
  EXPECT_EQ(sockets().asked.size(), 60u);
  EXPECT_LT(detail().size(), 400u);
}

// --- the clocks ---

TEST_F(Connecting, TheTimeoutFires) {
  set_upstream(silent_.address());
  Peer client = this->client();
  pass(5s - 1ns);
  EXPECT_EQ(phase(), SessionPhase::connecting);
  pass(tick);
  EXPECT_EQ(ending(), "closed by connect after 5.00s");
  EXPECT_EQ(detail(), silent_.address().to_string() + ": no answer");
  EXPECT_TRUE(feels(client, Felt::reset));
}

TEST_F(Connecting, TheTimeoutStartsAfterTheLookup) {
  set_upstream_name();
  set(TimeoutName::connect, 3s);
  Peer client = this->client();
  pass(4s);
  resolver_.answer(net::Addresses{silent_.address()});
  settle();
  pass(3s - 1ns);
  EXPECT_EQ(phase(), SessionPhase::connecting);
  pass(tick);
  EXPECT_EQ(ending(), "closed by connect after 3.00s");
}

TEST_F(Connecting, WhoIsReachedJustBeforeTheTimeoutIsReached) {
  set(TimeoutName::connect, 5s);
  set(TimeoutName::connect_attempt, 4900ms);
  Peer client = client_for({silent_.address(), upstream_address_});
  pass(5s - 2 * tick);  // the first attempt has just ended
  Peer server = this->server();
  ASSERT_TRUE(turn_until([&] { return phase() == SessionPhase::relaying; }));
  pass(1min);
  EXPECT_EQ(ending(), "open") << "its clock does not run on";
}

TEST_F(Connecting, WithBothTimeoutsOffItWaits) {
  set(TimeoutName::connect, std::nullopt);
  set_upstream(silent_.address());
  Peer client = this->client();
  pass(48h);
  EXPECT_EQ(phase(), SessionPhase::connecting);
}

TEST_F(Connecting, TheTimeoutOfOneAttemptFiresAndTheNextIsTried) {
  set(TimeoutName::connect_attempt, 1s);
  Peer client = client_for({silent_.address(), upstream_address_});
  pass(1s - 1ns);
  EXPECT_EQ(sockets().asked.size(), 1u) << "it just missed";
  pass(tick);
  EXPECT_EQ(sockets().asked.size(), 2u);
  Peer server = this->server();
  server.send("welcome");
  EXPECT_TRUE(hears(client, "welcome"));
}

TEST_F(Connecting, WhenTheLastAttemptTimesOutThatIsTheCause) {
  set(TimeoutName::connect_attempt, 1s);
  Peer client = client_for({silent_.address(), silent_too_.address()});
  pass(1s + tick);
  EXPECT_EQ(ending(), "open");
  pass(1s);
  EXPECT_EQ(ending(), "closed by connect.attempt after 1.00s");
  EXPECT_EQ(detail(), silent_.address().to_string() + ": no answer in 1.00s; " + silent_too_.address().to_string() +
                          ": no answer in 1.00s");
  EXPECT_TRUE(feels(client, Felt::reset));
}

TEST_F(Connecting, ARefusalAfterATimeoutIsARefusal) {
  set(TimeoutName::connect_attempt, 1s);
  Peer client = client_for({silent_.address(), refusing()});
  pass(1s + tick);
  EXPECT_EQ(ending(), "closed by connect.refused after 1.01s");
}

TEST_F(Connecting, WithoutAnAttemptTimeoutTheAddressesShareWhatConnectHasLeft) {
  set(TimeoutName::connect, 12s);
  const FullListener third(live::loopback());
  Peer client = client_for({silent_.address(), silent_too_.address(), third.address()});
  pass(4s - 1ns);
  EXPECT_EQ(sockets().asked.size(), 1u) << "a third of 12 s";
  pass(tick);
  EXPECT_EQ(sockets().asked.size(), 2u);
  pass(4s + tick);
  EXPECT_EQ(sockets().asked.size(), 3u) << "half of the 8 s left";
  pass(4s - 4 * tick);
  EXPECT_EQ(ending(), "open");
  pass(4 * tick);
  EXPECT_EQ(ending(), "closed by connect after 12.0s") << "the last has all that is left";
}

TEST_F(Connecting, EachOfManyAddressesHasTwoSecondsAtLeast) {
  const FullListener third(live::loopback());
  Peer client = client_for({silent_.address(), silent_too_.address(), third.address()});
  pass(2s - 1ns);
  EXPECT_EQ(sockets().asked.size(), 1u);
  pass(tick);
  EXPECT_EQ(sockets().asked.size(), 2u);
}

// --- a Unix listener whose queue is full ---

TEST_F(Connecting, AFullUnixListenerIsAskedAgainUntilItHasRoom) {
  FullListener busy(live::unix_address(folder_.path("db.sock")));
  set_upstream(busy.address());
  Peer client = this->client();
  EXPECT_EQ(phase(), SessionPhase::connecting);
  pass_in_steps(20ms, 1ms);
  EXPECT_GE(sockets().asked.size(), 5u) << "at 0, 1, 3, 7 and 15 ms";
  EXPECT_LE(sockets().asked.size(), 6u);
  pass_in_steps(4s);
  EXPECT_LT(sockets().asked.size(), 60u);
  busy.make_room();
  pass_in_steps(128ms);  // never longer between two questions
  ASSERT_EQ(phase(), SessionPhase::relaying);
  Peer server(busy.accept());
  server.send("welcome");
  EXPECT_TRUE(hears(client, "welcome"));
  pass_in_steps(10s);
  EXPECT_EQ(ending(), "open") << "neither clock nor alarm of the attempt runs on";
}

TEST_F(Connecting, AUnixListenerThatStaysFullHasAllOfTheTimeout) {
  const FullListener busy(live::unix_address(folder_.path("db.sock")));
  set_upstream(busy.address());
  Peer client = this->client();
  pass_in_steps(5s - 1ms);
  EXPECT_EQ(phase(), SessionPhase::connecting);
  pass_in_steps(20ms);
  EXPECT_EQ(ending(), "closed by connect after 5.00s");
  EXPECT_EQ(detail(), "unix:" + folder_.path("db.sock") + ": its queue stayed full");
  EXPECT_TRUE(feels(client, Felt::reset));
}

TEST_F(Connecting, OrAllOfItsAttempt) {
  const FullListener busy(live::unix_address(folder_.path("db.sock")));
  set_upstream(busy.address());
  set(TimeoutName::connect_attempt, 300ms);
  Peer client = this->client();
  pass_in_steps(299ms);
  EXPECT_EQ(phase(), SessionPhase::connecting);
  pass_in_steps(11ms);
  EXPECT_EQ(ending(), "closed by connect.attempt after 300ms");
  EXPECT_EQ(detail(), "unix:" + folder_.path("db.sock") + ": its queue stayed full in 300ms");
}

// --- the client meanwhile ---

TEST_F(Connecting, AClientThatResetsEndsIt) {
  set_upstream(silent_.address());
  Peer client = this->client();
  pass(1s);
  client.reset();
  EXPECT_EQ(ends(), "closed by client.reset after 1.00s");
  EXPECT_EQ(detail(), "before the upstream was reached");
  EXPECT_EQ(shared_->live.load(), 0u);
}

TEST_F(Connecting, AClientThatSendsAndEndsIsServedAllTheSame) {
  set(TimeoutName::connect_attempt, 1s);
  Peer client = client_for({silent_.address(), upstream_address_});
  client.send("question");
  client.end();
  settle();
  EXPECT_EQ(phase(), SessionPhase::connecting);
  pass(1s + tick);
  Peer server = this->server();
  EXPECT_TRUE(hears(server, "question"));
  EXPECT_TRUE(feels(server, Felt::fin));
  server.send("answer");
  EXPECT_TRUE(hears(client, "answer"));
  server.end();
  EXPECT_TRUE(feels(client, Felt::fin));
  EXPECT_EQ(ends(), "closed by client.fin after 1.01s");
}

// --- a server that ends at once ---

class EndsAtOnce : public Connecting {
 protected:
  // The kernel has connected, the loop has not looked: the server acts in between.
  void connects_to_one_that(const std::function<void(Peer&)>& acts) {
    client_ = this->client();
    Fd accepted;
    ASSERT_TRUE(net::test::wait_until([&] {
      accepted.reset(::accept4(upstream_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return static_cast<bool>(accepted);
    }));
    server_ = Peer(std::move(accepted));
    acts(server_);
  }
  Peer client_;
  Peer server_;
};

TEST_F(EndsAtOnce, WithAReset) {
  connects_to_one_that([](Peer& server) { server.reset(); });
  EXPECT_EQ(ends(), "closed by server.reset after 0s");
  EXPECT_TRUE(feels(client_, Felt::reset));
  EXPECT_EQ(closed_[0].upstream, upstream_address_) << "it was reached";
  EXPECT_EQ(opened_.size(), 1u);
}

TEST_F(EndsAtOnce, WithAnEndAndAReset) {
  connects_to_one_that([](Peer& server) {
    server.end();
    server.reset();
  });
  EXPECT_EQ(ends(), "closed by server.reset after 0s");
  EXPECT_EQ(closed_[0].upstream, upstream_address_);
  EXPECT_TRUE(feels(client_, Felt::fin)) << "both are passed on, in their order";
  EXPECT_TRUE(net::connection_is_dead(client_.fd()));
}

TEST_F(EndsAtOnce, WithLastWordsAndAReset) {
  connects_to_one_that([](Peer& server) {
    server.send("too many connections");
    server.reset();
  });
  ASSERT_TRUE(turn_until([&] {
    clock_.advance(1ms);  // the polls of the grace
    return !closed_.empty();
  }));
  EXPECT_TRUE(hears(client_, "too many connections"));
  EXPECT_TRUE(feels(client_, Felt::reset));
  EXPECT_EQ(to_string(closed_[0].cause), "server.reset");
}

TEST_F(EndsAtOnce, InOrder) {
  connects_to_one_that([](Peer& server) { server.close(); });
  EXPECT_TRUE(feels(client_, Felt::fin));
  client_.close();
  EXPECT_EQ(ends(), "closed by server.fin after 0s");
}

}  // namespace
}  // namespace weir::proxy
