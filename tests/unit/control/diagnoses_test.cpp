// Diagnoses that come and go with the rules of proxies, and the verdicts that are kept of them.
#include "control/diagnoses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <thread>

#include "control/registry.h"
#include "net/places.h"
#include "net/socket.h"

namespace weir::control {
namespace {

using net::test::wait_until;
using namespace std::chrono_literals;

auto ids(const KeptVerdicts::Answer& answer) -> std::vector<std::uint64_t> {
  std::vector<std::uint64_t> all;
  for (const auto& each : answer.verdicts) all.push_back(each.id);
  return all;
}

TEST(KeptVerdicts, TheOldestGoAndWhoAsksForThemIsToldHowMany) {
  KeptVerdicts kept;
  const auto add = [&](std::uint32_t proxy) { return kept.add({.proxy = ProxyId{proxy}, .time = {}, .verdict = {}}); };
  for (std::size_t i = 0; i < KeptVerdicts::remembered + 10; ++i) (void)add(i % 2 == 0 ? 1 : 2);
  const std::uint64_t last = KeptVerdicts::remembered + 10;
  const auto from_start = kept.read(std::nullopt, 0, 3);
  EXPECT_EQ(from_start.missed, 10u);
  EXPECT_THAT(ids(from_start), testing::ElementsAre(11, 12, 13));
  EXPECT_EQ(kept.read(std::nullopt, 7, 1).missed, 3u);
  EXPECT_EQ(kept.read(std::nullopt, 10, 1).missed, 0u);
  EXPECT_THAT(ids(kept.read(ProxyId{2}, 12, 2)), testing::ElementsAre(14, 16));
  EXPECT_THAT(ids(kept.read(std::nullopt, last - 1, 9)), testing::ElementsAre(last));
  EXPECT_TRUE(kept.read(std::nullopt, ~std::uint64_t{0}, 9).verdicts.empty());
  EXPECT_THAT(ids(kept.read(ProxyId{1}, std::nullopt, 2)), testing::ElementsAre(last - 3, last - 1));
  kept.forget(ProxyId{2});
  EXPECT_EQ(kept.read(std::nullopt, std::nullopt, 9999).verdicts.size(), KeptVerdicts::remembered / 2);
  EXPECT_EQ(kept.read(std::nullopt, 10, 1).missed, 0u) << "nobody misses what was to be forgotten";
  EXPECT_EQ(add(1), last + 1);
}

class DiagnosesTest : public testing::Test {
 protected:
  DiagnosesTest() {
    engine_->start();
    registry_.set_diagnoses(diagnoses_);
  }
  auto rules(bool diagnose) -> proxy::ProxyRules {
    proxy::ProxyRules rules;
    rules.upstream = *UpstreamAddress::parse(net::local_address(upstream_.get())->to_string());
    rules.diagnose = diagnose;
    return rules;
  }
  auto make(const std::string& name, bool diagnose = true) -> ProxyId {
    return (*registry_.create(name, rules(diagnose)))->id;
  }
  // An exchange that the server takes `think` for; the sockets stay open.
  struct Talk {
    Fd client;
    Fd server;
  };
  auto talk(const std::string& name) -> Talk {
    const auto port = registry_.find(name)->rules.listen.addresses[0].port();
    Talk talk{.client = std::move(kernel_.connect(*Address::parse_ip("127.0.0.1", port), {})->fd), .server = {}};
    EXPECT_TRUE(wait_until([&] {
      talk.server.reset(::accept4(upstream_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      return static_cast<bool>(talk.server);
    }));
    return talk;
  }
  static void say(const Fd& from, const Fd& to, std::string_view word) {
    ASSERT_EQ(::send(from.get(), word.data(), word.size(), MSG_NOSIGNAL), static_cast<ssize_t>(word.size()));
    std::array<char, 64> read{};
    ASSERT_TRUE(wait_until([&] { return ::recv(to.get(), read.data(), read.size(), MSG_DONTWAIT) > 0; }));
  }
  // Exchanges whose server thinks for 5 ms each: a verdict each, the last one with the next request.
  void think(const Talk& talk, int times) {
    for (int i = 0; i < times; ++i) {
      say(talk.client, talk.server, "q");
      std::this_thread::sleep_for(5ms);  // the pause that is to be judged
      say(talk.server, talk.client, "r");
    }
  }
  auto kept(std::size_t least) -> KeptVerdicts::Answer {
    KeptVerdicts::Answer now;
    EXPECT_TRUE(wait_until([&] {
      now = diagnoses_.verdicts(std::nullopt, std::nullopt, 100);
      return now.verdicts.size() >= least;
    }));
    return now;
  }

  net::KernelSockets kernel_;
  Fd upstream_ = kernel_.listen(*Address::parse_ip("127.0.0.1", 0), {}).value();
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create(SystemClock::instance());
  std::unique_ptr<engine::Engine> engine_ = *engine::Engine::create({.workers = 2});
  std::vector<SessionWatch::Item> told_;
  Diagnoses diagnoses_{*engine_, *loop_, [this](std::vector<SessionWatch::Item>&& items) {
                         for (auto& item : items) told_.push_back(std::move(item));
                       }};
  Registry registry_{*engine_, [](const Change&) {}};
};

TEST_F(DiagnosesTest, WithoutARuleThatSaysSoNothingIsThere) {
  const ProxyId db = make("db", false);
  EXPECT_FALSE(diagnoses_.report(db));
  EXPECT_FALSE(diagnoses_.sums(db));
  EXPECT_TRUE(diagnoses_.open_exchanges(std::nullopt, 10).exchanges.empty());
  EXPECT_EQ(diagnoses_.verdicts(std::nullopt, 0, 10).last, 0u);
}

TEST_F(DiagnosesTest, VerdictsAreNumberedKeptAndToldAsEvents) {
  const ProxyId db = make("db");
  const Talk one = talk("db");
  think(one, 3);
  const auto all = kept(3);
  EXPECT_EQ(all.verdicts.front().id, 1u);
  EXPECT_EQ(all.verdicts.front().proxy, db);
  EXPECT_EQ(all.last, all.verdicts.back().id);
  EXPECT_EQ(diagnoses_.verdicts(db, 1, 1).verdicts.front().id, 2u);
  EXPECT_TRUE(diagnoses_.verdicts(db, all.last, 10).verdicts.empty());
  EXPECT_EQ(diagnoses_.verdicts(db, std::nullopt, 1).verdicts.front().id, all.last)
      << "without a number, the last ones";
  EXPECT_TRUE(wait_until([&] {
    loop_->run_once(5ms);
    return told_.size() >= 3;
  }));
  EXPECT_EQ(told_[0].type, "verdict");
  EXPECT_EQ(told_[0].proxy, db);
  EXPECT_EQ(told_[0].data["cause"], all.verdicts.front().verdict.cause->name);
  EXPECT_FALSE(told_[0].data.contains("proxy")) << "who tells it knows the name";
}

TEST_F(DiagnosesTest, WhatIsSwitchedOffOrRemovedLeavesNothing) {
  const ProxyId db = make("db");
  const ProxyId other = make("other");
  const Talk one = talk("db");
  const Talk two = talk("other");
  think(one, 2);
  think(two, 2);
  (void)kept(4);
  ASSERT_TRUE(registry_.change("db", rules(false)));
  EXPECT_FALSE(diagnoses_.report(db));
  for (const auto& each : diagnoses_.verdicts(std::nullopt, std::nullopt, 100).verdicts) EXPECT_EQ(each.proxy, other);
  registry_.remove("other");
  EXPECT_FALSE(diagnoses_.report(other));
  EXPECT_TRUE(diagnoses_.verdicts(std::nullopt, std::nullopt, 100).verdicts.empty());
  EXPECT_EQ(diagnoses_.verdicts(std::nullopt, 0, 100).missed, 0u) << "nobody misses what was to be forgotten";
}

TEST_F(DiagnosesTest, WhereNoObserverFitsTheWishIsRefusedAndNothingChanges) {
  make("db", false);
  while (engine_->attach({.observer = std::make_unique<SessionWatch>(*loop_, [](auto&&) {}), .ring = {}})) {
  }
  const auto refused = registry_.change("db", rules(true));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, RefusalKind::too_many);
  EXPECT_EQ(refused.error().field, "diagnose");
  EXPECT_FALSE(registry_.find("db")->rules.diagnose);
  EXPECT_FALSE(registry_.create("new", rules(true)));
  EXPECT_EQ(registry_.find("new"), nullptr);
}

}  // namespace
}  // namespace weir::control
