// What a session tells of its life before it relays, and what it tells an observer that comes later.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/session_scene.h"

namespace weir::proxy {
namespace {

using event::EventKind;
using event::EventMask;
using event::TimeoutName;
using live::Peer;
using net::test::FullListener;
using testing::ElementsAre;
using namespace std::chrono_literals;

constexpr EventMask life = EventKind::session_accepted | EventKind::upstream_resolved | EventKind::connect_tried |
                           EventKind::session_opened | EventKind::legs_connected;

class Told : public live::SessionScene {
 protected:
  static auto make_ring(EventMask mask) -> std::shared_ptr<event::EventRing> {
    return std::make_shared<event::EventRing>(event::RingOptions{.mask = mask},
                                              std::make_shared<event::ConsumerSignal>());
  }
  ~Told() override { late_.reset(); }
  void observe(bool tells_open = true) {
    (void)proxy();
    worker_->add_ring(
        late_, [](const ProxyOnWorker&) { return true; }, tells_open);
  }
  // What was told so far, a line each; addresses by the names that the scene has for them.
  auto lines() -> std::vector<std::string> {
    settle();
    std::vector<std::string> lines;
    late_->publish();
    late_->drain([&](event::Event& each) { lines.push_back(line(each)); });
    return lines;
  }
  auto name(const Address& address) -> std::string {
    if (address == front_address_) return "front";
    if (address == upstream_address_) return "upstream";
    if (address == silent_.address()) return "silent";
    return "other";
  }

  FullListener silent_{live::loopback()};
  std::shared_ptr<event::EventRing> late_ = make_ring(life);

 private:
  template <class T>
  static auto get(const event::Event& each) -> const T* {
    const auto* shared = std::get_if<std::shared_ptr<const T>>(&each.what);
    return shared == nullptr ? nullptr : shared->get();
  }
  auto line(const event::Event& each) -> std::string {
    if (const auto* accepted = get<event::SessionAccepted>(each)) {
      return "accepted from " + name(accepted->client) + " at " + name(accepted->listener);
    }
    if (const auto* resolved = get<event::UpstreamResolved>(each)) {
      std::string text = "resolved " + resolved->name + " in " + std::to_string(resolved->took / 1ms) + " ms:";
      for (const Address& address : resolved->addresses) text += " " + name(address);
      return text + resolved->error;
    }
    if (const auto* tried = get<event::ConnectTried>(each)) {
      return "tried " + name(tried->upstream) + " for " + std::to_string(tried->took / 1ms) +
             " ms: " + (tried->error == 0 ? "connected" : errno_text(tried->error));
    }
    if (const auto* opened = get<event::SessionOpened>(each)) {
      return "opened " + name(opened->upstream) + " in " + std::to_string(opened->connect_time / 1ms) + " ms";
    }
    if (const auto* legs = get<event::LegsConnected>(each)) {
      const auto& [client, server] = legs->legs;
      return name(client.peer) + "-" + name(client.local) + ", " + name(server.local) + "-" + name(server.peer);
    }
    return "something else";
  }
};

TEST_F(Told, EachStepFromAcceptToConnected) {
  observe();
  set_upstream_name();
  set(TimeoutName::connect_attempt, 2s);
  const Peer client = this->client();
  pass(300ms);
  resolver_.answer(net::Addresses{silent_.address(), upstream_address_});
  settle();
  EXPECT_THAT(lines(),
              ElementsAre("accepted from other at front", "resolved db.example:5432 in 300 ms: silent upstream"));
  pass(2s + net::TimerWheel::tick_length);
  const Peer server = this->server();
  const auto rest = lines();
  ASSERT_EQ(rest.size(), 4U);
  EXPECT_EQ(rest[0], "tried silent for 2010 ms: Connection timed out");
  EXPECT_EQ(rest[1], "tried upstream for 0 ms: connected");
  EXPECT_EQ(rest[2], "opened upstream in 2310 ms");
  EXPECT_EQ(rest[3], "other-front, other-upstream");
}

TEST_F(Told, ANameThatIsUnknown) {
  observe();
  set_upstream_name();
  const Peer client = this->client();
  resolver_.answer(failure("no such name"));
  EXPECT_THAT(lines(), ElementsAre("accepted from other at front", "resolved db.example:5432 in 0 ms:no such name"));
}

TEST_F(Told, AFullUnixListenerIsOneAttempt) {
  net::test::Folder folder;
  FullListener full{Address(Address::Unix{folder.path("socket")})};
  observe();
  set_upstream(full.address());
  const Peer client = this->client();
  pass_in_steps(1s);
  ASSERT_GT(sockets().asked.size(), 2U) << "it is asked again and again";
  EXPECT_THAT(lines(), ElementsAre("accepted from other at front"));
  full.make_room();
  pass_in_steps(1s);
  const auto rest = lines();
  ASSERT_EQ(rest.size(), 3U);
  EXPECT_THAT(rest[0], testing::MatchesRegex("tried other for 1[0-9]+ ms: connected"));
}

TEST_F(Told, AnAttemptThatTheSessionsEndCutsShort) {
  observe();
  set_upstream(silent_.address());
  const Peer client = this->client();
  settle();
  ASSERT_EQ(phase(), SessionPhase::connecting);
  clock_.advance(2s);
  only_session().close("asked for");
  EXPECT_THAT(lines(), ElementsAre("accepted from other at front",
                                   testing::MatchesRegex("tried silent for 2000 ms: .*canceled")));
}

TEST_F(Told, WhoComesLaterHearsOfOpenSessionsWithTheirTimes) {
  set_upstream_name();
  const Peer client = this->client();
  pass(250ms);
  resolver_.answer(net::Addresses{upstream_address_});
  const Peer server = this->server();
  ASSERT_TRUE(turn_until([&] { return phase() == SessionPhase::relaying; }));
  pass(5s);
  observe();
  EXPECT_THAT(lines(), ElementsAre("opened upstream in 250 ms", "other-front, other-upstream"));
}

TEST_F(Told, WhoComesLaterHearsNothingIfHeDoesNotWantTo) {
  const Peer client = this->client();
  const Peer server = this->server();
  ASSERT_TRUE(turn_until([&] { return phase() == SessionPhase::relaying; }));
  observe(false);
  EXPECT_THAT(lines(), ElementsAre());
}

TEST_F(Told, NothingOnceTheRingHasLeft) {
  observe();
  worker_->remove_ring(late_);
  turn();
  EXPECT_TRUE(late_->ended()) << "nothing was in it, and it is closed";
  const Peer client = this->client();
  const Peer server = this->server();
  EXPECT_THAT(lines(), ElementsAre());
}

TEST_F(Told, ASessionIsFoundByItsHandleUntilItEnds) {
  observe();
  const Peer client = this->client();
  const Peer server = this->server();
  ASSERT_TRUE(turn_until([&] { return phase() == SessionPhase::relaying; }));
  const SessionHandle handle = only_session().handle();
  EXPECT_EQ(worker_->find_session(handle), &only_session());
  SessionHandle of_another_worker = handle;
  ++of_another_worker.worker;
  EXPECT_EQ(worker_->find_session(of_another_worker), nullptr);
  only_session().close("asked for");
  settle();
  EXPECT_EQ(worker_->find_session(handle), nullptr);
  const Peer next = this->client();  // it may get the same place in the loop
  EXPECT_EQ(worker_->find_session(handle), nullptr);
}

}  // namespace
}  // namespace weir::proxy
