#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "engine/engine_scene.h"
#include "engine/holding_clock.h"
#include "fault/catalog.h"
#include "net/system_calls.h"

namespace weir::engine {
namespace {

using namespace std::chrono_literals;
using test::Peer;
using test::wait_until;
using testing::MatchesRegex;
using testing::StartsWith;

using Listening = test::EngineScene;

// The client's first byte is for Weir, which answers it.
class ByteHandshake final : public proxy::Handshake {
 public:
  void on_bytes(proxy::HandshakeContext& context, LegName from) override {
    context.consume(from, 1);
    const auto answer = std::byte{'!'};
    context.send(from, {&answer, 1});
    context.connect(std::nullopt, std::nullopt);
  }
};

TEST_F(Listening, AHandshakeThatTheRulesNameComesBeforeTheStream) {
  const proxy::HandshakeInfo byte{"byte", "a byte", [] { return std::make_unique<ByteHandshake>(); }};
  make();
  ProxySpec named = spec();
  named.rules.handshake = &byte;
  const std::string where = add(std::move(named));
  engine_->start();
  const Peer client = Peer::connected_to(where);
  client.send("?question");
  EXPECT_EQ(client.read(), "!");
  const Peer server = this->server();
  EXPECT_EQ(server.read(), "question");
}

TEST_F(Listening, APortAloneIsThisMachineOnlyAndPort0PicksOne) {
  make();
  const std::string where = add(spec("0"));
  EXPECT_THAT(where, MatchesRegex("127\\.0\\.0\\.1:[1-9][0-9]*"));
  engine_->start();
  expect_it_relays(where);
}

TEST_F(Listening, AllAddressesOfBothFamiliesShareThePortThatWasPicked) {
  make();
  const std::string where = add(spec(":0"));
  EXPECT_THAT(where, MatchesRegex(":[1-9][0-9]*"));
  engine_->start();
  expect_it_relays("127.0.0.1" + where);
  if (!Peer::connected_to("[::1]" + where).is_open()) GTEST_SKIP() << "no IPv6 here";
  (void)server();
  expect_it_relays("[::1]" + where);
}

TEST_F(Listening, LocalhostIsBothItsAddresses) {
  make();
  const std::string where = add(spec("localhost:0"));
  EXPECT_THAT(where, MatchesRegex("localhost:[1-9][0-9]*"));
  engine_->start();
  expect_it_relays("127.0.0.1" + where.substr(where.rfind(':')));
}

TEST_F(Listening, OneIPv6AddressStandsInBrackets) {
  make();
  const auto where = engine_->add_proxy(spec("[::1]:0"));
  if (!where) GTEST_SKIP() << where.error().message;
  EXPECT_THAT(where->text, MatchesRegex("\\[::1\\]:[1-9][0-9]*"));
  engine_->start();
  expect_it_relays(where->text);
}

TEST_F(Listening, AUnixPathIsRemovedAtTheEnd) {
  const std::string path = folder_.path("weir.sock");
  make();
  EXPECT_EQ(add(spec("unix:" + path)), "unix:" + path);
  engine_->start();
  expect_it_relays("unix:" + path);
  struct stat info {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0);
  EXPECT_TRUE(engine_->stop(1s));
  engine_.reset();
  EXPECT_NE(::lstat(path.c_str(), &info), 0) << "its file is still there";
}

TEST_F(Listening, AnAbstractUnixNameNeedsNoFile) {
  const std::string name = "unix:@weir-engine-" + std::to_string(::getpid());
  make();
  EXPECT_EQ(add(spec(name)), name);
  engine_->start();
  expect_it_relays(name);
}

TEST_F(Listening, AGivenSocketIsUsedAsItIs) {
  auto given = kernel_.listen(Address::parse_ip("127.0.0.1", 0).value(), {}).value();
  const std::string address = net::local_address(given.get()).value().to_string();
  ProxySpec inherited = spec();
  inherited.given_listener = std::make_shared<const Fd>(std::move(given));
  make();
  EXPECT_EQ(add(std::move(inherited)), address);
  engine_->start();
  expect_it_relays(address);
}

TEST_F(Listening, WhatCannotBeBoundIsASentence) {
  make();
  const auto refused = engine_->add_proxy(spec(upstream_address_.to_string()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "cannot listen on " + upstream_address_.to_string() +
                                         ": Address already in use (another weir? port 0 picks a free one)");
}

// A port that is free for IPv6 may be taken for IPv4. In a network namespace with two ports to pick from,
// one of them taken for IPv4, the other must be found.
TEST_F(Listening, APickedPortIsFreeInBothFamilies) {
  std::string where;
  std::string error;
  bool has_ipv6 = true;
  const Fd elsewhere = net::test::network_namespace([&] {
    std::ofstream("/proc/sys/net/ipv4/ip_local_port_range") << "40000 40001";
    for (const std::uint16_t taken : {std::uint16_t{40000}, std::uint16_t{40001}}) {
      net::KernelSockets here;
      has_ipv6 = has_ipv6 && here.listen(Address::parse_ip("::", 0).value(), {}).has_value();
      const Fd other = here.listen(Address::parse_ip("0.0.0.0", taken).value(), {}).value();
      auto engine = Engine::create({}).value();
      const auto listening = engine->add_proxy(spec(":0"));
      where += (listening ? listening->text : "") + " ";
      if (!listening) error = listening.error().message;
    }
  });
  if (!elsewhere) GTEST_SKIP() << "needs CAP_SYS_ADMIN to make a network namespace";
  if (!has_ipv6) GTEST_SKIP() << "no IPv6 here";
  EXPECT_EQ(where, ":40001 :40000 ") << error;
}

TEST_F(Listening, AProxyMayStandInAnotherNetworkNamespace) {
  const Fd elsewhere = net::test::network_namespace();
  if (!elsewhere) GTEST_SKIP() << "needs CAP_SYS_ADMIN to make a network namespace";
  net::KernelSockets there(elsewhere.get());
  upstream_ = there.listen(Address::parse_ip("127.0.0.1", 0).value(), {}).value();
  upstream_address_ = net::local_address(upstream_.get()).value();
  make();
  ProxySpec inside = spec();
  inside.network_namespace = elsewhere.get();
  const std::string where = add(std::move(inside));
  engine_->start();
  const Address address = std::get<Address>(UpstreamAddress::parse(where).value().target);
  auto client = there.connect(address, {}).value();
  const Peer server = this->server();
  server.send("from within");
  std::array<char, 64> buffer{};
  ssize_t n = -1;
  wait_until([&] { return (n = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0)) > 0; });
  EXPECT_EQ(n, 11);
}

using Running = test::EngineScene;

TEST_F(Running, ManyWorkersRelayAndNumberEverySessionOnce) {
  make({.workers = 3});
  observe();
  const std::string where = add(spec());
  engine_->start();
  for (int i = 0; i < 12; ++i) expect_it_relays(where);
  ASSERT_TRUE(wait_until([&] { return journal_->number_of_closes() == 12; }));
  EXPECT_TRUE(engine_->stop(2s));
  const Totals totals = engine_->totals();
  EXPECT_EQ(totals.sessions, 12u);
  EXPECT_EQ(totals.live, 0u);
  EXPECT_EQ(totals.bytes[0], 12u * 8);
  EXPECT_EQ(totals.bytes[1], 12u * 6);
  EXPECT_EQ(totals.connect_times.count(), 12u);
  EXPECT_FALSE(totals.partial);
  EXPECT_EQ(journal_->opened, 12u);
  EXPECT_EQ(journal_->bytes, 12u * 14) << "everything was shown before stop returned";
}

TEST_F(Running, TotalsCountLiveSessionsToo) {
  make({.workers = 2});
  const std::string where = add(spec());
  engine_->start();
  const Peer client = Peer::connected_to(where);
  const Peer server = this->server();
  client.send("0123456789");
  EXPECT_EQ(server.read(), "0123456789");
  const Totals sum = totals();
  EXPECT_EQ(sum.live, 1u);
  EXPECT_EQ(sum.peak, 1u);
  EXPECT_EQ(sum.bytes[0], 10u);
  EXPECT_FALSE(sum.partial);
}

TEST_F(Running, ALateLoopMakesTotalsPartialAndHarmsNobodyLater) {
  test::HoldingClock clock;
  make({.workers = 1, .clock = &clock});
  add(spec());
  engine_->start();
  EXPECT_FALSE(totals().partial);
  clock.hold(true);
  const Totals late = totals(20ms);  // the request wakes the loop, and the clock holds it
  EXPECT_TRUE(late.partial);
  clock.hold(false);
  EXPECT_FALSE(totals().partial) << "and the late answer of before was nobody's";
  engine_.reset();  // before its clock
}

TEST_F(Running, WhoWaitsForNewsHearsThatTheLastSessionEnded) {
  make();
  ProxySpec once = spec();
  once.accept_limit = 1;
  const std::string where = add(std::move(once));
  engine_->start();
  EXPECT_FALSE(engine_->take_news().accept_limit_reached);
  Peer client = Peer::connected_to(where);
  Peer server = this->server();
  ASSERT_TRUE(wait_until([&] { return engine_->take_news().accept_limit_reached; }));
  EXPECT_FALSE(engine_->take_news().all_sessions_ended);
  EXPECT_FALSE(Peer::connected_to(where).is_open()) << "the listener is closed";
  client.close();
  server.close();
  EXPECT_TRUE(wait_until([&] { return engine_->take_news().all_sessions_ended; }));
}

TEST_F(Running, AnObserverWhoseOutputClosesIsNews) {
  make();
  observe();
  const std::string where = add(spec());
  engine_->start();
  EXPECT_TRUE(engine_->take_news().deaf.empty());
  journal_->set(&test::Journal::takes_more, false);
  const Peer client = Peer::connected_to(where);
  const Peer server = this->server();
  EXPECT_TRUE(wait_until([&] { return !engine_->take_news().deaf.empty(); }));
  client.send("goes on");
  EXPECT_EQ(server.read(), "goes on") << "traffic waits for no closed observer";
}

TEST_F(Running, SessionsAreEndedOnRequestWithTheCauseGiven) {
  make({.workers = 2});
  observe();
  const std::string where = add(spec());
  engine_->start();
  const Peer client = Peer::connected_to(where);
  const Peer server = this->server();
  ASSERT_TRUE(wait_until([&] { return engine_->live_sessions() == 1; }));
  engine_->stop_accepting();
  engine_->end_sessions({.reason = event::CloseReason::shutdown}, "second signal");
  EXPECT_EQ(client.read(), "RST");
  EXPECT_EQ(server.read(), "RST");
  ASSERT_TRUE(wait_until([&] { return journal_->number_of_closes() == 1; }));
  EXPECT_EQ(journal_->closes[0], "shutdown (second signal)");
  EXPECT_TRUE(wait_until([&] { return !Peer::connected_to(where).is_open(); }));
}

TEST_F(Running, ASlowBlockingObserverHoldsTrafficUpAndLosesNothing) {
  make();
  observe();
  const std::string where = add(spec());
  engine_->start();
  journal_->set(&test::Journal::stuck, true);
  const Peer client = Peer::connected_to(where);
  const Peer server = this->server();
  constexpr std::uint64_t total = 24ull << 20;  // far above what ring and sockets hold
  std::thread sending([&] {
    const std::string block(1 << 20, 'x');
    for (std::uint64_t i = 0; i < total >> 20; ++i) client.send(block);
  });
  journal_->set(&test::Journal::stuck, false);
  std::uint64_t got = 0;
  while (got < total) {
    const std::string bytes = server.read();
    ASSERT_NE(bytes, "nothing");
    got += bytes.size();
  }
  sending.join();
  EXPECT_TRUE(wait_until([&] {
    const std::lock_guard lock(journal_->mutex);
    return journal_->bytes == total;
  }));
}

TEST_F(Running, StopReturnsWithinItsPatienceIfAnObserverIsStuck) {
  make();
  observe();
  const std::string where = add(spec());
  engine_->start();
  journal_->set(&test::Journal::stuck, true);
  const Peer client = Peer::connected_to(where);
  const Peer server = this->server();
  ASSERT_TRUE(wait_until([&] {
    const std::lock_guard lock(journal_->mutex);
    return journal_->arrived == 1;
  }));
  const auto before = std::chrono::steady_clock::now();
  EXPECT_FALSE(engine_->stop(50ms));
  EXPECT_LT(std::chrono::steady_clock::now() - before, 3s);
  // The thread is left behind with what it uses, as the program does that ends now.
  static Engine* left_behind = nullptr;
  left_behind = engine_.release();
  EXPECT_NE(left_behind, nullptr);
}

TEST_F(Running, AnEngineMayGoWithALookupUnderWay) {
  auto& names = net::test::NameServer::instance();
  names.reset();
  names.close_gate();
  make();
  ProxySpec named = spec();
  named.rules.upstream = UpstreamAddress::parse("db.test:80").value();
  const std::string where = add(std::move(named));
  engine_->start();
  const Peer client = Peer::connected_to(where);
  ASSERT_TRUE(wait_until([&] { return names.waiting() == 1; }));
  EXPECT_TRUE(engine_->stop(1s));
  engine_.reset();
  names.open_gate();  // the answer finds no loop: what the sanitizers see is the test
  EXPECT_TRUE(wait_until([&] { return names.answered() == 1; }));
}

using Faulty = test::EngineScene;

auto faults(std::string_view text, std::uint64_t revision) -> std::shared_ptr<const fault::FaultList> {
  std::vector<fault::FaultList::Entry> entries;
  if (!text.empty()) entries.push_back(std::make_shared<const fault::FaultSpec>(fault::parse_fault(text).value()));
  return std::make_shared<const fault::FaultList>(std::move(entries), revision);
}

TEST_F(Faulty, AListIsInForceOnEveryWorkerWhenItWasSet) {
  make({.workers = 2, .seed = 5});
  EXPECT_EQ(engine_->seed(), 5u);
  const std::string where = add(spec());
  engine_->start();
  std::vector<Peer> clients(8);
  std::vector<Peer> servers(8);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i] = Peer::connected_to(where);
    servers[i] = server();
    clients[i].send("question");
    ASSERT_EQ(servers[i].read(), "question");
  }
  for (std::uint64_t round = 1; round <= 20; ++round) {
    engine_->set_faults(ProxyId{0}, faults("limit_data bytes=1GB", 2 * round - 1));
    engine_->set_faults(ProxyId{0}, faults("", 2 * round));
  }
  engine_->set_faults(ProxyId{0}, faults("limit_data bytes=2 direction=upstream", 41));
  ASSERT_TRUE(settle());
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i].send("abcdef");
    EXPECT_EQ(servers[i].read(), "ab") << "the very next byte meets the new list";
    EXPECT_EQ(servers[i].read(), "FIN");
  }
  const auto counts = engine_->faults(ProxyId{0}).counts();
  ASSERT_EQ(counts.size(), 2u);
  EXPECT_EQ(counts[1].fault, "limit_data_upstream");
  EXPECT_EQ(counts[1].sessions, 8u);
}

TEST_F(Faulty, AProxyMayStartWithFaults) {
  make();
  ProxySpec broken = spec();
  broken.faults = faults("refuse", 1);
  const std::string where = add(std::move(broken));
  engine_->start();
  EXPECT_EQ(Peer::connected_to(where).read(), "RST");
}

}  // namespace
}  // namespace weir::engine
