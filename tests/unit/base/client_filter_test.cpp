#include "base/client_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/addresses.h"

namespace weir {
namespace {

auto matches(std::string_view filter, const Address& client) -> bool {
  return ClientFilter::parse(filter).value().matches(client);
}

TEST(ClientFilter, MatchesOneAddressWhateverThePort) {
  EXPECT_TRUE(matches("192.0.2.7", ip("192.0.2.7", 1)));
  EXPECT_TRUE(matches("192.0.2.7", ip("192.0.2.7", 65535)));
  EXPECT_FALSE(matches("192.0.2.7", ip("192.0.2.8", 1)));
  EXPECT_TRUE(matches("::1", ip("::1", 1)));
  EXPECT_TRUE(matches("[::1]", ip("::1", 1)));
  EXPECT_FALSE(matches("::1", ip("::2", 1)));
  EXPECT_FALSE(matches("192.0.2.7", ip("::1", 1)));
}

TEST(ClientFilter, MatchesANetworkToTheBit) {
  EXPECT_TRUE(matches("192.0.2.0/24", ip("192.0.2.255", 1)));
  EXPECT_FALSE(matches("192.0.2.0/24", ip("192.0.3.0", 1)));
  EXPECT_TRUE(matches("10.0.0.8/29", ip("10.0.0.15", 1)));
  EXPECT_FALSE(matches("10.0.0.8/29", ip("10.0.0.16", 1)));
  EXPECT_FALSE(matches("10.0.0.8/29", ip("10.0.0.7", 1)));
  EXPECT_TRUE(matches("10.0.0.9/29", ip("10.0.0.8", 1))) << "bits beyond the prefix are ignored";
  EXPECT_TRUE(matches("2001:db8::/33", ip("2001:db8:7fff::1", 1)));
  EXPECT_FALSE(matches("2001:db8::/33", ip("2001:db8:8000::1", 1)));
  EXPECT_TRUE(matches("10.0.0.1/32", ip("10.0.0.1", 1)));
  EXPECT_FALSE(matches("10.0.0.1/32", ip("10.0.0.0", 1)));
}

TEST(ClientFilter, OfAllIpv4IsNotOfIpv6) {
  EXPECT_TRUE(matches("0.0.0.0/0", ip("203.0.113.9", 1)));
  EXPECT_FALSE(matches("0.0.0.0/0", ip("2001:db8::1", 1)));
  EXPECT_TRUE(matches("::/0", ip("2001:db8::1", 1)));
}

TEST(ClientFilter, TakesAnIpv4ClientOfAnIpv6SocketForWhatItIs) {
  EXPECT_TRUE(matches("192.0.2.7", ip("::ffff:192.0.2.7", 1)));
  EXPECT_TRUE(matches("192.0.2.0/24", ip("::ffff:192.0.2.9", 1)));
  EXPECT_FALSE(matches("192.0.2.0/24", ip("::ffff:192.0.3.9", 1)));
  EXPECT_TRUE(matches("::ffff:192.0.2.7", ip("192.0.2.7", 1)));
}

TEST(ClientFilter, MindsAZoneOnlyIfThereIsOne) {
  Address::Ip link_local = *ip("fe80::1", 1).ip();
  link_local.scope = 7;
  EXPECT_TRUE(matches("fe80::1", Address(link_local)));
  EXPECT_TRUE(matches("fe80::1%7", Address(link_local)));
  EXPECT_FALSE(matches("fe80::1%8", Address(link_local)));
}

TEST(ClientFilter, MatchesUnixClientsTogether) {
  EXPECT_TRUE(matches("unix", unix_socket("")));
  EXPECT_TRUE(matches("unix", unix_socket("/run/client.sock")));
  EXPECT_FALSE(matches("unix", ip("127.0.0.1", 1)));
  EXPECT_FALSE(matches("::/0", unix_socket("")));
}

TEST(ClientFilter, SaysWhatIsWrong) {
  for (const auto text : {"", "db.internal", "192.0.2", "192.0.2.7:80", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1",
                          "192.0.2.0/8x", "::/129", "[::1]:80", "/8", "unix:/run/x", "unix/8"}) {
    const auto filter = ClientFilter::parse(text);
    ASSERT_FALSE(filter) << text;
    EXPECT_THAT(filter.error().message,
                testing::StartsWith(fmt::format("\"{}\" is not a client to filter by: ", text)));
    EXPECT_THAT(filter.error().message, testing::EndsWith("a network such as 192.0.2.0/24, or unix"));
  }
  EXPECT_THAT(ClientFilter::parse("10.0.0.0/33").error().message,
              testing::HasSubstr("the prefix length \"33\" is not 0 to 32"));
}

}  // namespace
}  // namespace weir
