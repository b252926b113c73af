// What a session owns while it is idle: DESIGN promises 768 bytes.
#include <gtest/gtest.h>

#include <array>

#include "proxy/allocations.h"
#include "proxy/session_scene.h"

namespace weir::proxy {
namespace {

using scripted::Allocations;

class IdleMemory : public live::SessionScene {
 protected:
  static constexpr std::size_t count = 64;

  // Connects a client, carries a byte each way, and leaves it idle. Nothing is allocated but by weir.
  void one_idle_session(std::size_t at) {
    clients_[at] = kernel_.connect(front_address_, {}).value().fd;
    Fd accepted;
    ASSERT_TRUE(net::test::wait_until([&] {
      accepted.reset(::accept4(front_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return static_cast<bool>(accepted);
    }));
    ASSERT_TRUE(shared_->take_place(std::nullopt));
    shared_->session_began();
    const Address address = net::peer_address(accepted.get()).value();
    worker_->adopt(proxy(), std::move(accepted), address, SessionNumber{at + 1});
    ASSERT_TRUE(turn_until([&] {
      servers_[at].reset(::accept4(upstream_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return static_cast<bool>(servers_[at]);
    }));
    carry_a_byte(clients_[at], servers_[at]);
    carry_a_byte(servers_[at], clients_[at]);
  }
  void carry_a_byte(const Fd& from, const Fd& to) {
    char byte = 'x';
    ASSERT_EQ(::send(from.get(), &byte, 1, MSG_NOSIGNAL), 1);
    ASSERT_TRUE(turn_until([&] {
      clock_.advance(std::chrono::milliseconds{1});  // a fault may hold it
      return ::recv(to.get(), &byte, 1, MSG_DONTWAIT) == 1;
    }));
  }
  void open_all() {
    for (std::size_t i = 0; i < count; ++i) one_idle_session(i);
    settle();
    EXPECT_EQ(phases().size(), count);
  }
  void end_all() {
    for (std::size_t i = 0; i < count; ++i) clients_[i].reset(), servers_[i].reset();
    ASSERT_TRUE(turn_until([&] { return phases().empty(); }));
    settle();
  }
  auto bytes_per_idle_session() -> double {
    for (auto* each : {&relayed_[0], &relayed_[1]}) each->reserve(2 * count);
    sockets().asked.reserve(2 * count);
    opened_.reserve(2 * count);
    closed_.reserve(2 * count);
    open_all();  // what the loop and the worker make once, and keep
    end_all();
    const std::size_t before = Allocations::live_bytes();
    open_all();
    const std::size_t after = Allocations::live_bytes();
    end_all();
    EXPECT_EQ(Allocations::live_bytes(), before) << "and all of it was given back";
    return static_cast<double>(after - before) / count;
  }

  std::array<Fd, count> clients_;
  std::array<Fd, count> servers_;
};

TEST_F(IdleMemory, UnobservedItIsAtMost768Bytes) {
  observed_ = false;
  const double bytes = bytes_per_idle_session();
  RecordProperty("bytes_per_idle_session", std::to_string(bytes));
  EXPECT_LE(bytes, 768.0);
  EXPECT_GE(bytes, static_cast<double>(sizeof(Session))) << "or the hook does not count";
}

TEST_F(IdleMemory, UnderThreeFaultsInARowItIsAtMost1536BytesMore) {
  observed_ = false;
  const double bare = bytes_per_idle_session();
  set_faults({"latency latency=1ms", "bandwidth rate=10GB/s", "limit_data bytes=1GB"});
  const double bytes = bytes_per_idle_session() - bare;
  RecordProperty("bytes_more_under_faults", std::to_string(bytes));
  EXPECT_LE(bytes, 1536.0);
  EXPECT_GT(bytes, 0.0);
}

TEST_F(IdleMemory, FaultsThatDoNotApplyCostNothing) {
  observed_ = false;
  const double bare = bytes_per_idle_session();
  set_faults({"latency latency=1s probability=0", "stall match=192.0.2.1"});
  EXPECT_EQ(bytes_per_idle_session(), bare);
}

TEST_F(IdleMemory, ObservedItIsTheSameOnceTheObserverHasSeenItAll) { EXPECT_LE(bytes_per_idle_session(), 768.0); }

}  // namespace
}  // namespace weir::proxy
