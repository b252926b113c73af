// What all sessions of a proxy have in common: lots, draws, shared states, counters; and lists.
#include "fault/path.h"

namespace weir::fault {
namespace {

using namespace test;

auto spec_of(std::string_view text) -> FaultSpec { return parse_fault(text).value(); }

auto applied(const ProxyFaults& proxy, const FaultSpec& spec, int sessions) -> int {
  int count = 0;
  for (int i = 1; i <= sessions; ++i) {
    count += proxy.applies(spec, SessionNumber{static_cast<std::uint64_t>(i)}, Address()) ? 1 : 0;
  }
  return count;
}

TEST(ProxyFaults, ApplyNeverSometimesOrAlways) {
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    const ProxyFaults proxy(seed, "web");
    EXPECT_EQ(applied(proxy, spec_of("noop probability=0"), 2000), 0);
    EXPECT_NEAR(applied(proxy, spec_of("noop probability=0.3"), 2000), 600, 53) << "binomial, 99 %";
    EXPECT_EQ(applied(proxy, spec_of("noop probability=1"), 2000), 2000);
  }
}

TEST(ProxyFaults, ApplyExactlyTheSameForTheSameSeed) {
  EXPECT_EQ(applied(ProxyFaults(1, "web"), spec_of("noop probability=0.3"), 2000), 580);
  EXPECT_EQ(applied(ProxyFaults(2, "web"), spec_of("noop probability=0.3"), 2000), 603);
  EXPECT_EQ(applied(ProxyFaults(3, "web"), spec_of("noop probability=0.3"), 2000), 601);
}

TEST(ProxyFaults, ApplyMonotonically) {
  const ProxyFaults proxy(1, "web");
  for (std::uint64_t i = 1; i <= 200; ++i) {
    bool before = false;
    for (const auto* p : {"0", "0.2", "0.5", "0.9", "1"}) {
      const bool now = proxy.applies(spec_of(fmt::format("noop probability={}", p)), SessionNumber{i}, Address());
      EXPECT_TRUE(now || !before) << "one that applied at less applies at more";
      before = now;
    }
  }
}

TEST(ProxyFaults, DrawOneLotForAllOfAScope) {
  const ProxyFaults proxy(1, "web");
  const Address one = Address::parse_ip("192.0.2.1", 1).value();
  const Address same = Address::parse_ip("192.0.2.1", 2).value();
  const Address other = Address::parse_ip("192.0.2.2", 1).value();
  const auto client = spec_of("noop scope=client");
  EXPECT_EQ(proxy.lot(client, SessionNumber{1}, one), proxy.lot(client, SessionNumber{2}, same));
  EXPECT_NE(proxy.lot(client, SessionNumber{1}, one), proxy.lot(client, SessionNumber{1}, other));
  const auto all = spec_of("noop scope=proxy");
  EXPECT_EQ(proxy.lot(all, SessionNumber{1}, one), proxy.lot(all, SessionNumber{2}, other));
  EXPECT_NE(proxy.lot(spec_of("noop"), SessionNumber{1}, one), proxy.lot(spec_of("noop"), SessionNumber{2}, one));
}

TEST(ProxyFaults, ShareAStateByScope) {
  ProxyFaults proxy(1, "web");
  const Address one = Address::parse_ip("192.0.2.1", 1).value();
  const Address other = Address::parse_ip("192.0.2.2", 1).value();
  const auto client = spec_of("bandwidth scope=client");
  EXPECT_EQ(proxy.shared_state(client, one), proxy.shared_state(client, one));
  EXPECT_NE(proxy.shared_state(client, one), proxy.shared_state(client, other));
  const auto kept = proxy.shared_state(client, one);
  proxy.expect(std::make_shared<FaultList>());
  proxy.forget_the_gone();
  EXPECT_NE(proxy.shared_state(client, one), kept);
}

TEST(ProxyFaults, RememberOnlySoManyClients) {
  ProxyFaults proxy(1, "web");
  const auto client = spec_of("bandwidth scope=client");
  const Address used = Address::parse_ip("192.0.2.1", 1).value();
  const auto state = proxy.shared_state(client, used);
  for (std::size_t i = 0; i < ProxyFaults::clients_remembered + 10; ++i) {
    (void)proxy.shared_state(client,
                             Address::parse_ip(fmt::format("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255), 1).value());
  }
  EXPECT_EQ(proxy.shared_state(client, used), state) << "one in use is never forgotten";
}

TEST(ProxyFaults, CountSessionsAndBytes) {
  const auto proxy = std::make_shared<ProxyFaults>(7, "web");
  Path first({"packet_loss loss_rate=1"}, {.session = 1}, proxy);
  Path second({"packet_loss loss_rate=1"}, {.session = 2}, proxy);
  first.comes("abc");
  const auto counts = proxy->counts();
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts[0].fault, "packet_loss_downstream");
  EXPECT_EQ(counts[0].sessions, 2u);
  EXPECT_EQ(counts[0].bytes_dropped, 3u);
}

TEST(ProxyFaults, DelayOrRefuseInTheFirstPhases) {
  const ProxyFaults proxy(1, "web");
  const Address client;
  const SessionKey key{SessionNumber{1}, client, {}};
  const auto list =
      list_of({"accept_delay delay=1s", "accept_delay delay=2s name=b", "connect_delay delay=5s", "noop"});
  EXPECT_EQ(phase_fault(list, FaultPhase::accept, proxy, key).delay, seconds{3});
  EXPECT_EQ(phase_fault(list, FaultPhase::connect, proxy, key).delay, seconds{5});
  EXPECT_FALSE(phase_fault(list, FaultPhase::accept, proxy, key).refuse);
  EXPECT_TRUE(phase_fault(list_of({"refuse"}), FaultPhase::accept, proxy, key).refuse);
  EXPECT_FALSE(phase_fault(list_of({"refuse probability=0"}), FaultPhase::accept, proxy, key).refuse);
}

TEST(FaultList, HasRoomForSoManyAndNoMore) {
  FaultList list;
  for (std::size_t i = 0; i < FaultList::most; ++i) list = list.with(spec_of(fmt::format("noop name=f{}", i))).value();
  const auto one_more = list.with(spec_of("noop name=x"));
  ASSERT_FALSE(one_more);
  EXPECT_EQ(one_more.error().message, "a proxy has at most 256 faults: remove one first");
  EXPECT_TRUE(list.without("f7").value().with(spec_of("noop name=x")));
}

TEST(FaultList, IsAValueThatChangesByCopies) {
  const FaultList empty;
  const FaultList one = empty.with(spec_of("noop name=a")).value();
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(one.revision(), 1u);
  EXPECT_EQ(one.with(spec_of("latency name=a")).error().message,
            "there is a fault named \"a\" already: give this one another name");
  const FaultList two = one.with(spec_of("noop name=b")).value();
  const FaultList changed = two.changed(spec_of("noop name=a probability=0.5")).value();
  EXPECT_EQ(changed.entries()[0]->probability, 0.5);
  EXPECT_EQ(changed.entries()[1], two.entries()[1]) << "what did not change is the same object";
  EXPECT_EQ(two.without("a").value().entries().size(), 1u);
  EXPECT_FALSE(two.without("c"));
  EXPECT_FALSE(two.changed(spec_of("noop name=c")));
  EXPECT_TRUE(two.cleared().empty());
  EXPECT_EQ(two.cleared().revision(), 3u);
}

TEST(ProxyFaults, CountersOfFaultsThatAreGoneAreBounded) {
  ProxyFaults proxy(7, "web");
  FaultList list = *FaultList().with(spec_of("noop name=zzz"));
  proxy.expect(std::make_shared<FaultList>(list));
  proxy.counters(*list.find("zzz"))->sessions = 5;
  const auto in_use = proxy.counters(spec_of("noop name=yyy"));
  for (int i = 0; i < 10'000; ++i) {
    (void)proxy.counters(spec_of("noop name=once" + std::to_string(i)));
    proxy.forget_the_gone();
  }
  const auto counts = proxy.counts();
  EXPECT_LE(counts.size(), ProxyFaults::gone_counted + 2);
  EXPECT_EQ(counts.back().fault, "zzz");
  EXPECT_EQ(counts.back().sessions, 5U);
  EXPECT_EQ(counts[counts.size() - 2].fault, "yyy") << "a session still counts with it";
}

}  // namespace
}  // namespace weir::fault
