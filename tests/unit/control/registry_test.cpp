#include "control/registry.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "control/bulk_changes.h"
#include "fault/catalog.h"
#include "net/socket.h"

namespace weir::control {
namespace {

auto rules() -> proxy::ProxyRules {
  proxy::ProxyRules rules;
  rules.upstream = *UpstreamAddress::parse("127.0.0.1:1");
  return rules;
}

// An engine with one worker, and what the registry told of.
class RegistryTest : public testing::Test {
 protected:
  RegistryTest() { engine_->start(); }

  void add_fault(const std::string& proxy, const std::string& name, const std::string& lease) {
    auto spec = *fault::parse_fault("latency latency=1ms name=" + name);
    registry_.set_faults(proxy, *registry_.find(proxy)->faults->with(std::move(spec)), {"fault.added", proxy, name, 0});
    registry_.mark_fault(proxy, name, {.lease = lease});
  }
  auto faults(const std::string& proxy) -> std::vector<std::string> {
    std::vector<std::string> names;
    for (const auto& spec : registry_.find(proxy)->faults->entries()) names.push_back(spec->name);
    return names;
  }
  auto port(const std::string& proxy) -> std::uint16_t {
    return registry_.find(proxy)->rules.listen.addresses[0].port();
  }
  auto end_lease(const std::string& lease) -> LeaseEnd {
    LeaseEnding ending(registry_, lease);
    while (ending.step()) {
    }
    return ending.end();
  }
  auto reset() -> Outcome<void> {
    Reset reset(registry_);
    while (reset.step()) {
    }
    return reset.outcome();
  }
  // Every worker has taken what was changed.
  auto settle() -> bool {
    bool settled = false;
    engine_->settle({*home_, std::chrono::seconds{10}}, [&](bool all) { settled = all; });
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{10};
    while (!settled && std::chrono::steady_clock::now() < give_up) home_->run_once(std::chrono::milliseconds{5});
    return settled;
  }
  auto is_open(const std::string& proxy) -> bool { return registry_.find(proxy)->listening; }

  std::unique_ptr<net::EventLoop> home_ = *net::EventLoop::create(SystemClock::instance());
  std::unique_ptr<engine::Engine> engine_ = *engine::Engine::create({});
  std::vector<std::string> told_;
  Registry registry_{
      *engine_, [this](const Change& change) {
        told_.push_back(change.what + " " + change.proxy + (change.fault.empty() ? "" : " " + change.fault));
      }};
};

auto can_connect(std::uint16_t port) -> bool {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  const socklen_t length = Address::parse_ip("127.0.0.1", port)->to_sockaddr(storage);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0;
}

auto can_bind(std::uint16_t port) -> bool {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  const socklen_t length = Address::parse_ip("127.0.0.1", port)->to_sockaddr(storage);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0;
}

TEST_F(RegistryTest, AProxyListensWhenItIsWishedAndNobodyHoldsIt) {
  ASSERT_TRUE(registry_.create("db", rules()));
  ASSERT_TRUE(registry_.hold("db", {"one", "L"}));
  ASSERT_TRUE(registry_.hold("db", {"two", "M"}));
  EXPECT_FALSE(can_connect(port("db")));
  ASSERT_TRUE(registry_.release("db", "one"));
  EXPECT_FALSE(is_open("db"));
  ASSERT_TRUE(registry_.release("db", "two"));
  EXPECT_TRUE(can_connect(port("db")));
}

TEST_F(RegistryTest, WhatIsWishedMeanwhileCountsWhenTheLastHoldGoes) {
  ASSERT_TRUE(registry_.create("db", rules()));
  ASSERT_TRUE(registry_.hold("db", {"h", "L"}));
  auto disabled = registry_.find("db")->rules;
  disabled.enabled = false;
  ASSERT_TRUE(registry_.change("db", disabled));
  ASSERT_TRUE(registry_.release("db", "h"));
  EXPECT_FALSE(is_open("db"));
  ASSERT_TRUE(registry_.hold("db", {"h", "L"}));
  auto enabled = registry_.find("db")->rules;
  enabled.enabled = true;
  ASSERT_TRUE(registry_.change("db", enabled));
  EXPECT_FALSE(is_open("db"));
  ASSERT_TRUE(reset());
  EXPECT_FALSE(is_open("db"));  // toxiproxy's /reset wishes it open; the hold stands
  ASSERT_TRUE(registry_.release("db", "h"));
  EXPECT_TRUE(is_open("db"));
}

TEST_F(RegistryTest, APortIsKeptWhileItsProxyIsHeldDown) {
  ASSERT_TRUE(registry_.create("db", rules()));
  const auto before = port("db");
  ASSERT_TRUE(registry_.hold("db", {"h", "L"}));
  EXPECT_FALSE(can_bind(before));
  ASSERT_TRUE(registry_.release("db", "h"));
  EXPECT_EQ(port("db"), before);
  ASSERT_TRUE(registry_.hold("db", {"h", "L"}));
  registry_.remove("db");
  EXPECT_TRUE(can_bind(before));
}

TEST_F(RegistryTest, AHoldIsMadeAndReleasedOnce) {
  ASSERT_TRUE(registry_.create("db", rules()));
  ASSERT_TRUE(registry_.hold("db", {"h", "L"}));
  EXPECT_EQ(registry_.hold("db", {"h", "L"}).error().kind, RefusalKind::conflict);
  ASSERT_TRUE(registry_.release("db", "h"));
  EXPECT_EQ(registry_.release("db", "h").error().kind, RefusalKind::not_found);
}

TEST_F(RegistryTest, ALeaseTakesItsProxiesAndItsFaultsAndHoldsOnOthers) {
  ASSERT_TRUE(registry_.create("own", rules(), nullptr, {.lease = "L"}));
  ASSERT_TRUE(registry_.create("anothers", rules(), nullptr, {.lease = "M"}));
  ASSERT_TRUE(registry_.create("nobodys", rules()));
  for (const auto* proxy : {"own", "anothers", "nobodys"}) {
    add_fault(proxy, "l", "L");
    add_fault(proxy, "m", "M");
    add_fault(proxy, "none", "");
  }
  ASSERT_TRUE(registry_.hold("nobodys", {"h", "L"}));
  ASSERT_TRUE(registry_.hold("anothers", {"h", "L"}));
  ASSERT_TRUE(registry_.hold("anothers", {"i", "M"}));
  const LeaseEnd end = end_lease("L");
  EXPECT_EQ(end.proxies, 1u);
  EXPECT_EQ(end.faults, 2u);
  EXPECT_EQ(end.holds, 2u);
  EXPECT_EQ(registry_.find("own"), nullptr);
  EXPECT_EQ(faults("anothers"), (std::vector<std::string>{"m", "none"}));
  EXPECT_EQ(faults("nobodys"), (std::vector<std::string>{"m", "none"}));
  EXPECT_TRUE(is_open("nobodys"));
  EXPECT_FALSE(is_open("anothers"));
  EXPECT_TRUE(end.failed.empty());
}

TEST_F(RegistryTest, ALeaseThatHasNothingTakesNothing) {
  ASSERT_TRUE(registry_.create("db", rules()));
  add_fault("db", "f", "");
  told_.clear();
  const LeaseEnd end = end_lease("L");
  EXPECT_EQ(end.proxies + end.faults + end.holds, 0u);
  EXPECT_TRUE(told_.empty());
}

TEST_F(RegistryTest, WhatTookTheNameOfALeasedFaultStays) {
  ASSERT_TRUE(registry_.create("db", rules()));
  add_fault("db", "f", "L");
  const std::string first = registry_.find("db")->fault_marks.at("f").id;
  registry_.set_faults("db", *registry_.find("db")->faults->without("f"), {"fault.removed", "db", "f", 0});
  add_fault("db", "f", "");
  EXPECT_NE(registry_.find("db")->fault_marks.at("f").id, first);
  EXPECT_EQ(end_lease("L").faults, 0u);
  EXPECT_EQ(faults("db"), std::vector<std::string>{"f"});
}

TEST_F(RegistryTest, EachFaultThatWentWithItsLeaseIsTold) {
  ASSERT_TRUE(registry_.create("db", rules()));
  add_fault("db", "a", "L");
  add_fault("db", "b", "L");
  told_.clear();
  (void)end_lease("L");
  EXPECT_EQ(told_, (std::vector<std::string>{"fault.removed db a", "fault.removed db b"}));
}

TEST_F(RegistryTest, AProxyThatCannotListenAgainIsToldAndStaysWished) {
  ASSERT_TRUE(registry_.create("db", rules()));
  ASSERT_TRUE(registry_.hold("db", {"h", "L"}));
  auto moved = registry_.find("db")->rules;
  const Fd taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  socklen_t length = Address::parse_ip("127.0.0.1", 0)->to_sockaddr(storage);
  ASSERT_EQ(::bind(taken.get(), reinterpret_cast<const sockaddr*>(&storage), length), 0);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  ASSERT_EQ(::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&storage), &length), 0);
  const auto port = Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length)->port();
  moved.listen = *ListenAddress::parse(fmt::format("127.0.0.1:{}", port));
  ASSERT_TRUE(registry_.change("db", moved));
  const LeaseEnd end = end_lease("L");
  ASSERT_EQ(end.failed.size(), 1u);
  EXPECT_NE(end.failed[0].message.find("Address already in use"), std::string::npos) << end.failed[0].message;
  EXPECT_FALSE(is_open("db"));
  EXPECT_TRUE(registry_.find("db")->rules.enabled);
}

TEST_F(RegistryTest, AListenerThatIsTakenChangesNothing) {
  ASSERT_TRUE(registry_.create("db", rules()));
  ASSERT_TRUE(registry_.create("other", rules()));
  auto moved = registry_.find("db")->rules;
  moved.listen = registry_.find("other")->rules.listen;
  moved.max_sessions = 3;
  const auto before = registry_.find("db")->rules;
  const auto changed = registry_.change("db", moved);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().kind, RefusalKind::cannot_listen);
  EXPECT_EQ(changed.error().field, "listen");
  EXPECT_EQ(registry_.find("db")->rules, before);
  EXPECT_TRUE(can_connect(before.listen.addresses[0].port()));
}

TEST_F(RegistryTest, AUnixPathThatIsTakenLeavesTheSessionsAlone) {
  net::KernelSockets kernel;
  const Fd upstream = kernel.listen(*Address::parse_ip("127.0.0.1", 0), {}).value();
  auto one = rules();
  one.listen = *ListenAddress::parse("unix:@weir-registry-one-" + make_id());
  one.upstream = *UpstreamAddress::parse(net::local_address(upstream.get())->to_string());
  auto two = one;
  two.listen = *ListenAddress::parse("unix:@weir-registry-two-" + make_id());
  ASSERT_TRUE(registry_.create("one", one));
  ASSERT_TRUE(registry_.create("two", two));
  const auto client = kernel.connect(one.listen.addresses[0], {}).value();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds{5};
  while (engine_->live_sessions() == 0 && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::yield();
  }
  ASSERT_EQ(engine_->live_sessions(), 1u);
  const auto changed = registry_.change("one", two);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().field, "listen");
  EXPECT_TRUE(is_open("one"));
  EXPECT_EQ(engine_->live_sessions(), 1u);
}

TEST_F(RegistryTest, AListenerMovesToAnAddressThatCoversItsOwn) {
  auto everywhere = rules();
  everywhere.listen = *ListenAddress::parse(":0");  // so that its port is free at every address
  ASSERT_TRUE(registry_.create("db", everywhere));
  const auto before = port("db");
  auto moved = registry_.find("db")->rules;
  moved.listen = *ListenAddress::parse(fmt::format("127.0.0.1:{}", before));
  ASSERT_TRUE(registry_.change("db", moved));
  moved.listen = *ListenAddress::parse(fmt::format(":{}", before));
  ASSERT_TRUE(registry_.change("db", moved));
  EXPECT_EQ(registry_.find("db")->listen, fmt::format("[::]:{}", before));
  EXPECT_TRUE(can_connect(before));
  moved.listen = *ListenAddress::parse("127.0.0.1:0");
  ASSERT_TRUE(registry_.change("db", moved));
  EXPECT_FALSE(can_connect(before));
  EXPECT_TRUE(can_connect(port("db")));
}

TEST_F(RegistryTest, OnlyAnotherListenerClosesTheOldOne) {
  ASSERT_TRUE(registry_.create("db", rules()));
  const auto before = port("db");
  auto changed = registry_.find("db")->rules;
  changed.upstream = *UpstreamAddress::parse("127.0.0.1:2");
  changed.timeouts.set(event::TimeoutName::idle, std::chrono::seconds{2});
  changed.fault_queue_limit = 1 << 20;
  ASSERT_TRUE(registry_.change("db", changed));
  EXPECT_EQ(port("db"), before);
  EXPECT_TRUE(is_open("db"));
  EXPECT_EQ(registry_.find("db")->rules, changed);
  ASSERT_TRUE(registry_.change_as_toxiproxy("db", changed));
  EXPECT_EQ(port("db"), before);
}

TEST_F(RegistryTest, WhatComesAndGoesWhileALeaseEndsIsMetOnceOrNotAtAll) {
  for (const auto* name : {"a", "b", "c", "d"}) ASSERT_TRUE(registry_.create(name, rules(), nullptr, {.lease = "L"}));
  LeaseEnding ending(registry_, "L");
  ASSERT_TRUE(ending.step());  // "a" is met
  ASSERT_TRUE(ending.step());  // and "b"
  registry_.remove("a");
  registry_.remove("c");
  ASSERT_TRUE(registry_.create("a", rules()));  // another of that name
  ASSERT_TRUE(registry_.create("e", rules()));
  while (ending.step()) {
  }
  EXPECT_EQ(ending.end().proxies, 2u) << "b and d";
  EXPECT_NE(registry_.find("a"), nullptr);
  EXPECT_NE(registry_.find("e"), nullptr);
  EXPECT_EQ(registry_.all().size(), 2u);
}

TEST_F(RegistryTest, AResetGoesOnBehindOneThatCannotListen) {
  auto off = rules();
  off.enabled = false;
  ASSERT_TRUE(registry_.create("c", off));
  ASSERT_TRUE(registry_.create("a", rules()));
  off.listen = registry_.find("a")->rules.listen;
  ASSERT_TRUE(registry_.create("b", off));
  add_fault("c", "f", "");
  const auto done = reset();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, RefusalKind::cannot_listen);
  EXPECT_FALSE(is_open("b"));
  EXPECT_FALSE(registry_.find("b")->rules.enabled);
  EXPECT_TRUE(is_open("c"));
  EXPECT_TRUE(faults("c").empty());
}

TEST_F(RegistryTest, NoCallWaitsForALoopAndAllIsInForceWhenItIsSettled) {
  ASSERT_TRUE(registry_.create("db", rules()));
  ASSERT_TRUE(settle());
  EXPECT_TRUE(engine_->is_settled());
  const auto before = engine_->changes();
  for (int round = 0; round < 200; ++round) {
    add_fault("db", "f", "");
    registry_.set_faults("db", *registry_.find("db")->faults->without("f"), {"fault.removed", "db", "f", 0});
  }
  EXPECT_EQ(engine_->changes(), before + 400);
  EXPECT_FALSE(engine_->is_settled());
  EXPECT_TRUE(settle());
  EXPECT_TRUE(engine_->is_settled());
}

TEST(Ids, AreNeverGivenTwice) {
  const std::string id = make_id();
  EXPECT_EQ(id.size(), 16u);
  EXPECT_NE(make_id(), id);
}

TEST_F(RegistryTest, AnotherThreadMayNotAsk) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  constexpr auto sentence = "control::Registry was called on a thread";
  EXPECT_DEATH(std::thread([&] { (void)registry_.all(); }).join(), sentence);
  EXPECT_DEATH(std::thread([&] { (void)registry_.find("db"); }).join(), sentence);
  EXPECT_DEATH(std::thread([&] { (void)registry_.create("db", rules()); }).join(), sentence);
  EXPECT_DEATH(std::thread([&] { (void)registry_.release("db", "l"); }).join(), sentence);
}

TEST_F(RegistryTest, ACreationThatIsRefusedLateLeavesNothingBehind) {
  const auto before = engine_->changes();
  const auto made = registry_.create("db", rules());
  ASSERT_TRUE(made);
  const auto until = engine_->changes();
  registry_.note_failed({.proxy = (*made)->id, .change = until - 1, .error = {.message = "no memory"}});
  EXPECT_FALSE(registry_.find("db")->listening) << "nobody was refused yet";
  const auto why = registry_.take_back_failed(before, until);
  ASSERT_TRUE(why);
  EXPECT_EQ(why->kind, RefusalKind::cannot_listen);
  EXPECT_EQ(registry_.find("db"), nullptr);
  EXPECT_TRUE(registry_.create("db", rules())) << "its name is free";
}

TEST_F(RegistryTest, AChangeThatIsRefusedLateLeavesTheProxy) {
  ASSERT_TRUE(registry_.create("db", rules()));
  const auto before = engine_->changes();
  auto moved = registry_.find("db")->rules;
  moved.listen = *ListenAddress::parse("127.0.0.1:0");
  ASSERT_TRUE(registry_.change("db", moved));
  const auto until = engine_->changes();
  registry_.note_failed({.proxy = registry_.find("db")->id, .change = until, .error = {.message = "no memory"}});
  ASSERT_TRUE(registry_.take_back_failed(before, until));
  ASSERT_NE(registry_.find("db"), nullptr);
  EXPECT_FALSE(registry_.find("db")->listening);
}

}  // namespace
}  // namespace weir::control
