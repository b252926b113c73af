// The kernel's times of a real TCP socket, and the numbers by which they find their bytes.
#include "proxy/leg_stamps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "proxy/leg_end_scene.h"
#include "proxy/pipe_pool.h"

namespace weir::proxy {
namespace {

using live::bytes_of;
using net::test::wait_until;
using What = TransmitStamp::What;

constexpr StampWishes transmitted{.sent = true, .acknowledged = true};
constexpr std::uint64_t GiB = 1ULL << 30;

class LegStampsTest : public live::LegEndScene {
 protected:
  void SetUp() override {
    end_.take_stamps(transmitted, 0);
    if (timestamping() == 0) GTEST_SKIP() << "this kernel has no timestamps: " << errno_text(errno);
    end_.take_stamps({}, 0);
  }
  [[nodiscard]] auto timestamping() const -> int {
    int flags = 0;
    socklen_t length = sizeof flags;
    ::getsockopt(end_.fd(), SOL_SOCKET, SO_TIMESTAMPING, &flags, &length);
    return flags;
  }
  void write(std::size_t n) {
    const std::string bytes(n, 'x');
    ASSERT_EQ(end_.write(bytes_of(bytes)).bytes, n);
  }
  void take_notices() {
    const std::size_t n = end_.drain_notices(stamps_);
    taken_.insert(taken_.end(), stamps_.begin(), stamps_.begin() + static_cast<std::ptrdiff_t>(n));
  }
  // The offsets of one kind that came so far.
  auto offsets(What what) -> std::vector<std::uint64_t> {
    std::vector<std::uint64_t> found;
    for (const auto& stamp : taken_) {
      if (stamp.what == what) found.push_back(stamp.end_offset);
    }
    return found;
  }
  auto reached(What what) -> std::uint64_t {
    const auto all = offsets(what);
    return all.empty() ? 0 : all.back();
  }
  // Everything that was written is acknowledged, and the stamps of it are here.
  auto all_is_stamped(std::uint64_t end) -> bool {
    return wait_until([&] {
      take_everything_from_peer();
      take_notices();
      return reached(What::sent) >= end && reached(What::acknowledged) >= end;
    });
  }
  void take_everything_from_peer() {
    std::array<char, 65536> got{};
    while (::recv(peer_.get(), got.data(), got.size(), 0) > 0) {
    }
  }

  std::vector<TransmitStamp> taken_;
};

TEST_F(LegStampsTest, EachWriteIsSentAndAcknowledgedUpToItsEnd) {
  end_.take_stamps(transmitted, 0);
  const WallTime before = SystemClock::instance().wall();
  write(5);
  ASSERT_TRUE(all_is_stamped(5));
  write(7);
  ASSERT_TRUE(all_is_stamped(12));
  EXPECT_THAT(offsets(What::sent), testing::ElementsAre(5u, 12u));
  EXPECT_THAT(offsets(What::acknowledged), testing::ElementsAre(5u, 12u));
  const WallTime after = SystemClock::instance().wall();
  for (const auto& stamp : taken_) {
    EXPECT_GE(stamp.time, before);
    EXPECT_LE(stamp.time, after);
  }
}

// A stamp raises the error flag on a healthy socket, for as long as it is not taken.
TEST_F(LegStampsTest, TakingThemTakesTheErrorFlagOffAHealthySocket) {
  end_.take_stamps(transmitted, 0);
  write(5);
  ASSERT_TRUE(wait_until([&] { return end_.unsent() == 0 && (end_events() & POLLERR) != 0; }));
  ASSERT_TRUE(all_is_stamped(5));
  EXPECT_FALSE(end_events() & POLLERR);
  EXPECT_FALSE(end_.dead());
  peer_sends("still here");
  EXPECT_EQ(text(read()), "still here");
}

TEST_F(LegStampsTest, AResetBehindThemIsLeftForTheRead) {
  end_.take_stamps(transmitted, 0);
  write(5);
  ASSERT_TRUE(all_is_stamped(5));
  write(1);
  peer_resets();
  take_notices();
  EXPECT_EQ(read().error, ECONNRESET);
}

TEST_F(LegStampsTest, SwitchedOnWithBytesUnderWayTheyCountFromTheNextWrite) {
  const std::uint64_t old = fill();
  ASSERT_GT(end_.unsent(), 0u);
  end_.take_stamps(transmitted, old);
  ASSERT_TRUE(wait_until([&] { return take_everything_from_peer(), end_.unsent() == 0; }));
  take_notices();
  EXPECT_TRUE(taken_.empty()) << "the bytes under way were written before";
  write(10);
  ASSERT_TRUE(all_is_stamped(old + 10));
  EXPECT_THAT(offsets(What::acknowledged), testing::ElementsAre(old + 10));
}

// As before Linux 6.2.
TEST_F(LegStampsTest, NumbersFromTheOldestUnacknowledgedByteComeToTheSameOffsets) {
  const std::uint64_t old = fill();
  ASSERT_GT(end_.unsent(), 0u);
  LegStamps stamps(LegStamps::NumbersFrom::oldest_unacknowledged);
  stamps.set(end_.fd(), transmitted, old);
  ASSERT_NE(timestamping(), 0);
  ASSERT_TRUE(wait_until([&] { return take_everything_from_peer(), end_.unsent() == 0; }));
  write(10);
  std::optional<TransmitStamp> stamp;
  ASSERT_TRUE(wait_until([&] {
    take_everything_from_peer();
    alignas(cmsghdr) std::array<std::byte, 256> control;
    msghdr notice{};
    notice.msg_control = control.data();
    notice.msg_controllen = control.size();
    if (::recvmsg(end_.fd(), &notice, MSG_ERRQUEUE) >= 0) stamp = stamps.transmit_stamp(notice);
    return stamp && stamp->what == What::acknowledged;
  }));
  EXPECT_EQ(stamp->end_offset, old + 10);
}

TEST_F(LegStampsTest, ALongStreamIsNumberedBeyond32Bits) {
  const std::uint64_t old = 5 * GiB - 3;
  end_.take_stamps(transmitted, old);
  write(10);
  ASSERT_TRUE(all_is_stamped(old + 10));
  EXPECT_EQ(reached(What::sent), 5 * GiB + 7);
  end_.take_stamps({}, old + 10);
  end_.take_stamps(transmitted, 8 * GiB - 3);
  write(10);
  ASSERT_TRUE(all_is_stamped(8 * GiB + 7));
  EXPECT_EQ(reached(What::acknowledged), 8 * GiB + 7) << "past the end of 32 bits";
}

TEST_F(LegStampsTest, OffIsOffAndOnAgainCountsOn) {
  end_.take_stamps(transmitted, 0);
  write(5);
  ASSERT_TRUE(all_is_stamped(5));
  end_.take_stamps({}, 5);
  EXPECT_EQ(timestamping(), 0);
  write(100);
  ASSERT_TRUE(wait_until([&] { return take_everything_from_peer(), end_.unsent() == 0; }));
  EXPECT_FALSE(end_events() & POLLERR) << "nothing was stamped";
  end_.take_stamps(transmitted, 105);
  write(2);
  ASSERT_TRUE(all_is_stamped(107));
  EXPECT_THAT(offsets(What::sent), testing::ElementsAre(5u, 107u));
}

TEST_F(LegStampsTest, WhatOneTimeLeftBehindIsNotTakenForTheNext) {
  end_.take_stamps(transmitted, 0);
  for (int i = 0; i < 100; ++i) write(1000);
  ASSERT_TRUE(wait_until([&] { return take_everything_from_peer(), end_.unsent() == 0; }));
  end_.take_stamps({}, 100'000);
  end_.take_stamps(transmitted, 100'000);
  take_notices();
  EXPECT_TRUE(taken_.empty());
  write(1);
  ASSERT_TRUE(all_is_stamped(100'001));
  EXPECT_THAT(offsets(What::acknowledged), testing::ElementsAre(100'001u));
}

TEST_F(LegStampsTest, AnotherWishGoesOnWithTheSameNumbers) {
  end_.take_stamps({.sent = true}, 0);
  write(5);
  ASSERT_TRUE(wait_until([&] { return take_notices(), reached(What::sent) == 5; }));
  end_.take_stamps(transmitted, 5);
  write(7);
  ASSERT_TRUE(all_is_stamped(12));
  EXPECT_THAT(offsets(What::acknowledged), testing::ElementsAre(12u)) << "the first write asked for none";
}

TEST_F(LegStampsTest, MoreThanOneCallHandsOutComeInOrder) {
  end_.take_stamps(transmitted, 0);
  constexpr std::uint64_t writes = 100;
  for (std::uint64_t i = 0; i < writes; ++i) write(1);
  ASSERT_TRUE(wait_until([&] { return take_everything_from_peer(), end_.unsent() == 0; }));
  EXPECT_EQ(end_.drain_notices(stamps_), stamps_.size());
  EXPECT_TRUE(end_events() & POLLERR) << "what is left is announced again";
  ASSERT_TRUE(all_is_stamped(writes));
  const auto sent = offsets(What::sent);
  EXPECT_TRUE(std::is_sorted(sent.begin(), sent.end()));
  EXPECT_EQ(sent.back(), writes);
}

TEST_F(LegStampsTest, SplicedBytesAreStampedToo) {
  end_.take_stamps(transmitted, 0);
  const auto pipe = KernelPipe::create();
  ASSERT_NE(pipe, nullptr);
  peer_sends("through the kernel");
  ASSERT_TRUE(wait_until([&] { return end_.splice_in(*pipe, 4096).status == IoStatus::ok; }));
  EXPECT_EQ(end_.splice_out(*pipe).bytes, 18u);
  EXPECT_TRUE(all_is_stamped(18));
}

TEST_F(LegStampsTest, AReadSaysWhenTheKernelReceivedIt) {
  end_.take_stamps({.received = true}, 0);
  ReadResult last;
  // The kernel begins to stamp a little after it was asked to for the first time.
  ASSERT_TRUE(wait_until([&] {
    const WallTime before = SystemClock::instance().wall();
    peer_sends("hello");
    last = read();
    EXPECT_EQ(text(last), "hello");
    if (!last.kernel_time) return false;
    EXPECT_GE(*last.kernel_time, before);
    EXPECT_LE(*last.kernel_time, SystemClock::instance().wall());
    return true;
  }));
  EXPECT_EQ(end_.read(buffer_).status, IoStatus::would_block);
  end_.take_stamps({}, 0);
  peer_sends("hello");
  EXPECT_FALSE(read().kernel_time);
}

TEST_F(LegStampsTest, AReadThatIsTimedTellsAnEndFromAReset) {
  end_.take_stamps({.received = true}, 0);
  peer_sends("last words");
  peer_resets();
  EXPECT_EQ(text(read()), "last words");
  EXPECT_EQ(read().error, ECONNRESET);
}

TEST_F(LegStampsTest, AConnectionThatHasEndedHasNoneAndIsReadAsBefore) {
  peer_resets();
  end_.take_stamps(transmitted, 0);
  EXPECT_EQ(timestamping(), 0);
  take_notices();
  EXPECT_TRUE(taken_.empty());
  EXPECT_EQ(read().error, ECONNRESET);
}

TEST_F(LegStampsTest, AUnixSocketHasNone) {
  use_unix_sockets();
  end_.take_stamps({.received = true, .sent = true, .acknowledged = true}, 0);
  EXPECT_EQ(timestamping(), 0);
  peer_sends("hello");
  const ReadResult result = read();
  EXPECT_EQ(text(result), "hello");
  EXPECT_FALSE(result.kernel_time);
  write(5);
  take_notices();
  EXPECT_TRUE(taken_.empty());
  EXPECT_FALSE(end_.counters());
}

TEST_F(LegStampsTest, TheKernelsCountersAreThoseOfThisSocket) {
  ASSERT_TRUE(end_.counters());
  EXPECT_EQ(end_.counters()->data_segments_in, 0u);
  peer_sends("seven..");
  EXPECT_EQ(text(read()), "seven..");
  write(5);
  ASSERT_TRUE(wait_until([&] { return end_.unsent() == 0; }));
  const auto counters = end_.counters();
  ASSERT_TRUE(counters);
  EXPECT_EQ(counters->bytes_received, 7u);
  EXPECT_EQ(counters->data_segments_in, 1u);
  EXPECT_EQ(counters->data_segments_out, 1u);
  EXPECT_EQ(counters->unacknowledged, 0u);
  EXPECT_EQ(counters->unsent_bytes, 0u);
  EXPECT_GE(counters->bytes_acknowledged, 5u);
  EXPECT_GT(counters->send_mss, 0u);
  EXPECT_GT(counters->congestion_window, 0u);
  EXPECT_GT(counters->peer_window, 0u);
  EXPECT_GT(counters->round_trip, Nanos{0});
  EXPECT_LT(counters->least_round_trip, std::chrono::seconds{60});
  EXPECT_GE(counters->retransmit_timeout, counters->round_trip);
}

TEST_F(LegStampsTest, TheKernelsCountersSayWhatWaits) {
  const std::size_t taken = fill();
  const auto counters = end_.counters();
  ASSERT_TRUE(counters);
  EXPECT_GT(counters->unsent_bytes, 0u);
  EXPECT_LT(counters->unsent_bytes, taken);
}

}  // namespace
}  // namespace weir::proxy
