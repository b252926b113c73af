#include "net/congestion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <string>

#include "net/places.h"
#include "net/socket.h"

namespace weir::net {
namespace {

using testing::HasSubstr;

auto address(const char* host) -> Address { return Address::parse_ip(host, 0).value(); }

auto algorithm_of(const Fd& fd) -> std::string {
  std::array<char, 16> name{};
  socklen_t length = name.size();
  EXPECT_EQ(::getsockopt(fd.get(), IPPROTO_TCP, TCP_CONGESTION, name.data(), &length), 0);
  return name.data();
}

auto fresh() -> Fd { return Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

auto systems_own() -> std::string { return algorithm_of(fresh()); }

auto may_choose(const std::string& name) -> bool { return may_have_congestion_control(name).has_value(); }

auto chosen(const char* choice, const char* where) -> std::string {
  const Fd fd = fresh();
  EXPECT_TRUE(choose_congestion_control(fd.get(), choice, address(where)));
  return algorithm_of(fd);
}

// A socket with an algorithm that paces, as one has it where that is the system's.
auto pacing() -> Fd {
  Fd fd = fresh();
  EXPECT_TRUE(choose_congestion_control(fd.get(), "bbr", address("192.0.2.1")));
  return fd;
}

TEST(Congestion, TheSystemsOwnStaysWhereItIsAskedFor) {
  EXPECT_EQ(chosen("system", "127.0.0.1"), systems_own());
  EXPECT_EQ(chosen("system", "192.0.2.1"), systems_own());
}

TEST(Congestion, ANameIsTakenWhereverThePeerIs) {
  EXPECT_EQ(chosen("reno", "127.0.0.1"), "reno");
  EXPECT_EQ(chosen("reno", "192.0.2.1"), "reno");
}

TEST(Congestion, AutomaticTakesAnUnpacedOneOnLoopbackAlone) {
  if (!may_choose("bbr")) GTEST_SKIP() << "this system does not let this process choose bbr";
  for (const auto& [where, wanted] : {std::pair{"127.0.0.1", "reno"}, std::pair{"127.9.9.9", "reno"},
                                      std::pair{"192.0.2.1", "bbr"}, std::pair{"0.0.0.0", "bbr"}}) {
    const Fd fd = pacing();
    EXPECT_TRUE(choose_congestion_control(fd.get(), "auto", address(where)));
    EXPECT_EQ(algorithm_of(fd), wanted) << where;
  }
}

TEST(Congestion, AutomaticLeavesOneThatDoesNotPace) {
  for (const char* name : {"reno", "cubic"}) {
    if (!may_choose(name)) continue;  // reno always may be
    const Fd fd = fresh();
    ASSERT_TRUE(choose_congestion_control(fd.get(), name, address("127.0.0.1")));
    EXPECT_TRUE(choose_congestion_control(fd.get(), "auto", address("127.0.0.1")));
    EXPECT_EQ(algorithm_of(fd), name);
  }
}

TEST(Congestion, AnAcceptedSocketIsJudgedByItsClient) {
  if (!may_choose("bbr")) GTEST_SKIP() << "this system does not let this process choose bbr";
  const Fd near = pacing();
  choose_accepted_congestion_control(near.get(), "auto", address("127.0.0.1"));
  EXPECT_EQ(algorithm_of(near), "reno");
  const Fd far = pacing();
  choose_accepted_congestion_control(far.get(), "auto", address("192.0.2.1"));
  EXPECT_EQ(algorithm_of(far), "bbr");
  const Fd left = pacing();
  choose_accepted_congestion_control(left.get(), "system", address("127.0.0.1"));
  EXPECT_EQ(algorithm_of(left), "bbr");
}

TEST(Congestion, AListenerHandsItsChoiceOn) {
  KernelSockets sockets;
  StreamOptions options;
  options.congestion = "reno";
  const auto listener = sockets.listen(address("127.0.0.1"), options);
  ASSERT_TRUE(listener) << listener.error().message;
  const auto come = [&] {
    const auto client = sockets.connect(local_address(listener->get()).value(), {});
    Fd accepted;
    test::wait_until([&] {
      accepted.reset(::accept4(listener->get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      return static_cast<bool>(accepted);
    });
    return algorithm_of(accepted);
  };
  EXPECT_EQ(come(), "reno");
  change_stream_options(listener->get(), {});
  EXPECT_EQ(come(), systems_own());
  change_stream_options(listener->get(), options);
  EXPECT_EQ(come(), "reno");
}

TEST(Congestion, OneThatThisKernelDoesNotHaveIsASentence) {
  const auto refused = may_have_congestion_control("no_such");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("cannot have the congestion control no_such: "));
  EXPECT_THAT(refused.error().message, HasSubstr("net.ipv4.tcp_a"));
  EXPECT_TRUE(may_have_congestion_control("auto"));
  EXPECT_TRUE(may_have_congestion_control("system"));
  StreamOptions options;
  options.congestion = "no_such";
  KernelSockets sockets;
  EXPECT_EQ(sockets.listen(address("127.0.0.1"), options).error().message, refused.error().message);
  EXPECT_EQ(sockets.connect(address("127.0.0.1"), options).error().message, refused.error().message);
}

TEST(Congestion, AUnixSocketHasNone) {
  test::Folder folder;
  StreamOptions options;
  options.congestion = "reno";
  const Address where(Address::Unix{folder.path("x.sock")});
  EXPECT_TRUE(KernelSockets().listen(where, options));
}

}  // namespace
}  // namespace weir::net
