#include "base/address.h"
#include "base/listen_address.h"
#include "base/upstream_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

#include "base/addresses.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

// Through the kernel's form and back.
auto round_trip(const Address& address) -> Address {
  sockaddr_storage storage{};
  const socklen_t length = address.to_sockaddr(storage);
  return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length).value();
}

auto listen_texts(std::string_view text) -> std::vector<std::string> {
  std::vector<std::string> texts;
  const ListenAddress parsed = ListenAddress::parse(text).value();
  for (const Address& address : parsed.addresses) texts.push_back(address.to_string());
  return texts;
}

TEST(Address, IsAllZeroByDefault) {
  EXPECT_EQ(Address().to_string(), "0.0.0.0:0");
  EXPECT_EQ(Address().family(), AF_INET);
}

TEST(Address, IsWrittenAsItIsRead) {
  EXPECT_EQ(ip("127.0.0.1", 8888).to_string(), "127.0.0.1:8888");
  EXPECT_EQ(ip("127.0.0.1", 8888).host_string(), "127.0.0.1");
  EXPECT_EQ(ip("::1", 8888).to_string(), "[::1]:8888");
  EXPECT_EQ(ip("2001:DB8:0:0::7", 1).host_string(), "2001:db8::7");
  EXPECT_EQ(ip("::ffff:192.0.2.7", 1).to_string(), "[::ffff:192.0.2.7]:1");
  EXPECT_EQ(unix_socket("/run/x.sock").to_string(), "unix:/run/x.sock");
  EXPECT_EQ(unix_socket("@name").host_string(), "unix:@name");
  EXPECT_EQ(unix_socket("").to_string(), "unix:");
}

TEST(Address, KnowsItsFamilyAndPort) {
  EXPECT_EQ(ip("10.0.0.1", 65535).family(), AF_INET);
  EXPECT_EQ(ip("10.0.0.1", 65535).port(), 65535);
  EXPECT_EQ(ip("::", 80).family(), AF_INET6);
  EXPECT_EQ(unix_socket("/x").family(), AF_UNIX);
  EXPECT_EQ(unix_socket("/x").port(), 0);
  EXPECT_EQ(unix_socket("/x").ip(), nullptr);
  EXPECT_EQ(*unix_socket("/x").unix_path(), "/x");
  EXPECT_EQ(ip("::", 80).unix_path(), nullptr);
}

TEST(Address, ComparesByValue) {
  EXPECT_EQ(ip("10.0.0.1", 1), ip("10.0.0.1", 1));
  EXPECT_NE(ip("10.0.0.1", 1), ip("10.0.0.1", 2));
  EXPECT_NE(ip("::1", 1), ip("::2", 1));
  EXPECT_NE(ip("0.0.0.0", 1), ip("::", 1));
  EXPECT_NE(unix_socket("/a"), unix_socket("/b"));
}

TEST(Address, SurvivesTheKernelsForm) {
  for (const Address& address : {ip("127.0.0.1", 8888), ip("255.255.255.255", 0), ip("::", 1), ip("2001:db8::7", 65535),
                                 ip("fe80::1%1", 7), unix_socket("/run/x.sock"), unix_socket("@abstract"),
                                 unix_socket("@a\0b"), unix_socket(""), unix_socket(std::string(107, 'p'))}) {
    EXPECT_EQ(round_trip(address), address) << address.to_string();
  }
}

TEST(Address, TakesAnUnnamedUnixPeerForOne) {
  const sockaddr nothing{};
  EXPECT_EQ(Address::from_sockaddr(&nothing, 0).value(), unix_socket(""));
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  EXPECT_EQ(Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&un), offsetof(sockaddr_un, sun_path)).value(),
            unix_socket(""));
}

TEST(Address, ReadsAPathThatFillsTheWholeField) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::memset(un.sun_path, 'p', sizeof un.sun_path);  // no NUL: unix(7), BUGS
  const auto address = Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&un), sizeof un);
  EXPECT_EQ(*address.value().unix_path(), std::string(sizeof un.sun_path, 'p'));
}

TEST(Address, RefusesAnotherFamily) {
  sockaddr other{};
  other.sa_family = AF_NETLINK;
  const auto address = Address::from_sockaddr(&other, sizeof other);
  ASSERT_FALSE(address);
  EXPECT_THAT(address.error().message, HasSubstr("is not IPv4, IPv6 or Unix"));
}

TEST(Address, TakesAZoneByNameOrNumber) {
  EXPECT_EQ(ip("fe80::1%lo", 1), ip("fe80::1%1", 1));
  EXPECT_EQ(ip("fe80::1%lo", 1).to_string(), "[fe80::1%lo]:1");
  EXPECT_EQ(ip("fe80::1%987654", 1).host_string(), "fe80::1%987654") << "an interface that is not here any more";
  const auto unknown = Address::parse_ip("fe80::1%no-such-if", 1);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().message, "\"fe80::1%no-such-if\": there is no network interface \"no-such-if\" here");
  EXPECT_FALSE(Address::parse_ip("fe80::1%", 1));
  EXPECT_FALSE(Address::parse_ip("fe80::1%0", 1));
}

TEST(Address, RefusesWhatIsNotNumeric) {
  for (const auto* text : {"", "localhost", "127.0.0", "127.0.0.1.1", "256.0.0.1", "127.0.0.1%lo", " 127.0.0.1",
                           "0x7f.1", "[::1]", ":::", "1:2:3:4:5:6:7:8:9", "::g"}) {
    const auto address = Address::parse_ip(text, 1);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().message, fmt::format("\"{}\" is not a numeric IP address", text));
  }
}

TEST(ListenAddress, OfAPortAloneIsThisMachineOnly) { EXPECT_THAT(listen_texts("8888"), ElementsAre("127.0.0.1:8888")); }

TEST(ListenAddress, OfAColonAndAPortIsAllAddressesOfBothFamilies) {
  EXPECT_THAT(listen_texts(":8888"), ElementsAre("[::]:8888", "0.0.0.0:8888"));
}

TEST(ListenAddress, OfAHostAndAPortIsThatHost) {
  EXPECT_THAT(listen_texts("192.0.2.7:8888"), ElementsAre("192.0.2.7:8888"));
  EXPECT_THAT(listen_texts("0.0.0.0:8888"), ElementsAre("0.0.0.0:8888"));
  EXPECT_THAT(listen_texts("localhost:8888"), ElementsAre("127.0.0.1:8888", "[::1]:8888"));
  EXPECT_THAT(listen_texts("[::1]:8888"), ElementsAre("[::1]:8888"));
  EXPECT_THAT(listen_texts("[fe80::1%lo]:8888"), ElementsAre("[fe80::1%lo]:8888"));
}

TEST(ListenAddress, OfAUnixSocketIsItsPathOrItsAbstractName) {
  EXPECT_THAT(listen_texts("unix:/run/x.sock"), ElementsAre("unix:/run/x.sock"));
  EXPECT_THAT(listen_texts("unix:relative.sock"), ElementsAre("unix:relative.sock"));
  EXPECT_THAT(listen_texts("unix:@name"), ElementsAre("unix:@name"));
}

TEST(ListenAddress, LetsTheKernelPickAPortOfZero) {
  EXPECT_THAT(listen_texts("0"), ElementsAre("127.0.0.1:0"));
  EXPECT_THAT(listen_texts(":0"), ElementsAre("[::]:0", "0.0.0.0:0"));
  EXPECT_THAT(listen_texts("127.0.0.1:0"), ElementsAre("127.0.0.1:0"));
}

TEST(ListenAddress, KeepsWhatTheUserWrote) { EXPECT_EQ(ListenAddress::parse(":08888").value().text, ":08888"); }

struct Wrong {
  std::string text;
  std::string why;
};

TEST(ListenAddress, RefusesEveryOtherFormWithTheWayOut) {
  const Wrong wrongs[] = {
      {"", "no :port"},
      {"db.internal", "no :port"},
      {"127.0.0.1", "no :port"},
      {"65536", "a port is a number from 0 to 65535"},
      {"-1", "no :port"},
      {"88 88", "no :port"},
      {":", "port \"\" is not a number from 0 to 65535"},
      {":65536", "port \"65536\" is not a number from 0 to 65535"},
      {":http", "port \"http\" is not a number from 0 to 65535"},
      {"127.0.0.1:-1", "port \"-1\" is not a number from 0 to 65535"},
      {"127.0.0.1:80 ", "port \"80 \" is not a number from 0 to 65535"},
      {"127.0.0.1:", "port \"\" is not a number from 0 to 65535"},
      {"::1:8888", "an IPv6 address needs brackets, as in [::1]:8888"},
      {"[::1]", "no :port after \"]\""},
      {"[::1]8888", "no :port after \"]\""},
      {"[::1:8888", "\"[\" is not closed"},
      {"[]:8888", "\"\" is not a numeric IP address, and names are not looked up for listening"},
      {"[localhost]x:1", "no :port after \"]\""},
      {"db.internal:8888", "\"db.internal\" is not a numeric IP address, and names are not looked up for listening"},
      {"300.0.0.1:8888", "\"300.0.0.1\" is not a numeric IP address"},
      {"[fe80::1%no-such-if]:1", "there is no network interface \"no-such-if\" here"},
  };
  for (const auto& [text, why] : wrongs) {
    const auto parsed = ListenAddress::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().message, testing::StartsWith("\"" + text + "\""));
    EXPECT_THAT(parsed.error().message, HasSubstr(why));
    EXPECT_THAT(parsed.error().message, EndsWith("write 8888, :8888, host:port, [v6]:port or unix:/path"));
  }
}

TEST(ListenAddress, RefusesUnixPathsThatCannotBe) {
  EXPECT_EQ(ListenAddress::parse("unix:").error().message, "\"unix:\" names no path: write unix:/path/to.sock");
  EXPECT_EQ(ListenAddress::parse("unix:@").error().message, "\"unix:@\" names no path: write unix:/path/to.sock");
  EXPECT_TRUE(ListenAddress::parse("unix:/" + std::string(106, 'p')));
  EXPECT_THAT(ListenAddress::parse("unix:/" + std::string(107, 'p')).error().message,
              EndsWith("a Unix socket path has at most 107 bytes, this one has 108"));
  EXPECT_EQ(ListenAddress::parse(std::string_view("unix:/a\0b", 9)).error().message,
            "a Unix socket path cannot hold a NUL byte");
}

TEST(Address, KnowsLoopbackInEachOfItsForms) {
  const auto of = [](const char* host) { return Address::parse_ip(host, 80).value(); };
  for (const char* host : {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(of(host).is_loopback()) << host;
    EXPECT_FALSE(of(host).is_unspecified()) << host;
  }
  for (const char* host : {"126.0.0.1", "128.0.0.1", "0.0.0.0", "::", "::2", "7f00::", "::ffff:10.0.0.1", "fe80::1"}) {
    EXPECT_FALSE(of(host).is_loopback()) << host;
  }
  EXPECT_TRUE(of("0.0.0.0").is_unspecified());
  EXPECT_TRUE(of("::").is_unspecified());
  EXPECT_FALSE(Address(Address::Unix{}).is_loopback());
  EXPECT_FALSE(Address(Address::Unix{}).is_unspecified());
}

TEST(UpstreamAddress, IsAnAddressIfItIsNumeric) {
  for (const auto& [text, expected] : {std::pair{"10.0.0.5:5432", ip("10.0.0.5", 5432)},
                                       {"[::1]:5432", ip("::1", 5432)},
                                       {"[fe80::1%lo]:5432", ip("fe80::1%1", 5432)},
                                       {"unix:/run/db.sock", unix_socket("/run/db.sock")},
                                       {"unix:@db", unix_socket("@db")}}) {
    const auto parsed = UpstreamAddress::parse(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(std::get<Address>(parsed->target), expected);
    EXPECT_EQ(parsed->text, text);
  }
}

TEST(UpstreamAddress, KeepsANameForWhenAClientConnects) {
  for (const auto* host :
       {"db.internal", "localhost", "my-host", "under_score", "a", "1e100.net", "XN--80AK6AA92E.COM"}) {
    const auto parsed = UpstreamAddress::parse(std::string(host) + ":5432");
    ASSERT_TRUE(parsed) << host;
    EXPECT_EQ(std::get<UpstreamAddress::Name>(parsed->target), (UpstreamAddress::Name{host, 5432}));
  }
  EXPECT_TRUE(UpstreamAddress::parse(std::string(253, 'a') + ":1"));
}

TEST(UpstreamAddress, RefusesEveryOtherFormWithTheWayOut) {
  const Wrong wrongs[] = {
      {"", "no :port"},
      {"5432", "a port alone names no host"},
      {"65536", "a port is a number from 0 to 65535"},
      {"db.internal", "no :port"},
      {":5432", "\"\" is neither an IP address nor a host name"},
      {"db.internal:", "port \"\" is not a number from 0 to 65535"},
      {"db.internal:65536", "port \"65536\" is not a number from 0 to 65535"},
      {"db.internal:postgres", "port \"postgres\" is not a number from 0 to 65535"},
      {"::1:5432", "an IPv6 address needs brackets, as in [::1]:8888"},
      {"[::1]", "no :port after \"]\""},
      {"[::1:5432", "\"[\" is not closed"},
      {"[db.internal]:5432", "\"db.internal\" is neither an IP address nor a host name"},
      {"db internal:5432", "\"db internal\" is neither an IP address nor a host name"},
      {"http//db:80", "\"http//db\" is neither an IP address nor a host name"},
      {std::string(254, 'a') + ":1", "is neither an IP address nor a host name"},
  };
  for (const auto& [text, why] : wrongs) {
    const auto parsed = UpstreamAddress::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().message, testing::StartsWith("\"" + text + "\""));
    EXPECT_THAT(parsed.error().message, HasSubstr(why));
    EXPECT_THAT(parsed.error().message, EndsWith("write host:port, [v6]:port or unix:/path"));
  }
}

TEST(UpstreamAddress, RefusesAPortThatNobodyCanConnectTo) {
  for (const auto* text : {"10.0.0.5:0", "db.internal:0", "[::1]:0"}) {
    const auto parsed = UpstreamAddress::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message, fmt::format("\"{}\": an upstream port is a number from 1 to 65535", text));
  }
}

TEST(UpstreamAddress, RefusesUnixPathsThatCannotBe) {
  EXPECT_FALSE(UpstreamAddress::parse("unix:"));
  EXPECT_FALSE(UpstreamAddress::parse("unix:/" + std::string(107, 'p')));
}

}  // namespace
}  // namespace weir
