// Configurations of bridge: what is refused, in the reference's words.
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

#include "cni/bridge/config.h"

namespace weir::cni::bridge {
namespace {

bool readable = false;  // by a DEL, too

auto config(const std::string& keys, std::string args = {}) -> Result<Config> {
  readable = false;
  Environment environment{
      .command = "ADD", .container_id = "c1", .netns = "/x", .ifname = "eth0", .args = std::move(args), .path = "/x"};
  const auto request = parse_request(Command::add, environment, R"({"cniVersion":"1.0.0","name":"net1")" + keys + "}");
  auto parsed = parse_config(*request);
  if (!parsed) return parsed;
  readable = true;
  if (auto good = check_for_add(*parsed); !good) return Failure(good.error());
  return parsed;
}

auto refusal(const std::string& keys, std::string args = {}) -> std::string {
  const auto parsed = config(keys, std::move(args));
  return parsed ? "accepted" : parsed.error().msg;
}

TEST(BridgeConfig, HasTheReferencesDefaults) {
  const auto plain = config("");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->bridge, "cni0");
  EXPECT_EQ(plain->ipam, "");
  EXPECT_FALSE(plain->is_gateway || plain->masquerade || plain->hairpin || plain->mac || plain->vlan_filtering());
}

TEST(BridgeConfig, KnowsTheLimitsOfVlans) {
  EXPECT_EQ(refusal(R"(,"vlan":4095)"), "invalid VLAN ID 4095 (must be between 0 and 4094)");
  EXPECT_EQ(refusal(R"(,"vlan":-1)"), "invalid VLAN ID -1 (must be between 0 and 4094)");
  EXPECT_EQ(refusal(R"(,"vlanTrunk":[{"minID":5}])"),
            "minID and maxID should be configured simultaneously, maxID is missing");
  EXPECT_EQ(refusal(R"(,"vlanTrunk":[{"maxID":5}])"),
            "minID and maxID should be configured simultaneously, minID is missing");
  EXPECT_EQ(refusal(R"(,"vlanTrunk":[{"minID":9,"maxID":5}])"), "minID is greater than maxID in trunk parameter");
  EXPECT_EQ(refusal(R"(,"vlanTrunk":[{"minID":0,"maxID":5}])"), "incorrect trunk minID parameter");
  EXPECT_EQ(refusal(R"(,"vlanTrunk":[{"minID":1,"maxID":4095}])"), "incorrect trunk maxID parameter");
  EXPECT_EQ(refusal(R"(,"vlanTrunk":[{"id":4095}])"), "incorrect trunk id parameter");
  const auto good = config(R"(,"vlan":7,"vlanTrunk":[{"id":9},{"minID":3,"maxID":5},{"id":4}])");
  EXPECT_EQ(good->vlan, 7);
  EXPECT_EQ(good->trunk, (std::vector<std::uint16_t>{3, 4, 5, 9}));
}

TEST(BridgeConfig, RefusesWhatCannotGoTogether) {
  EXPECT_EQ(refusal(R"(,"hairpinMode":true,"promiscMode":true)"),
            "cannot set hairpin mode and promiscuous mode at the same time");
  EXPECT_EQ(refusal(R"(,"disableContainerInterface":true,"ipam":{"type":"host-local"})"),
            "cannot use IPAM when DisableContainerInterface flag is set");
  EXPECT_EQ(refusal(R"(,"ipMasq":true,"ipMasqBackend":"pf")"), "unknown ipmasq backend \"pf\"");
  EXPECT_EQ(refusal(R"(,"ipMasqBackend":"pf")"), "accepted");
  EXPECT_EQ(refusal(R"(,"ipMasq":true,"ipMasqBackend":"")"), "unknown ipmasq backend \"\"");
  EXPECT_EQ(refusal(R"(,"bridge":"")"),
            "bridge: \"\" is no interface name: use 1 to 15 bytes without '/', ':', '%', blanks and zero bytes");
  EXPECT_NE(refusal(R"(,"bridge":"br1\u0000x")").find("is no interface name"), std::string::npos);
}

TEST(BridgeConfig, OfAnAddThatIsRefusedCanBeDeleted) {
  for (const auto* keys : {R"(,"hairpinMode":true,"promiscMode":true)", R"(,"ipMasq":true,"ipMasqBackend":"pf")",
                           R"(,"disableContainerInterface":true,"ipam":{"type":"host-local"})", R"(,"mtu":70000)",
                           R"(,"bridge":"0123456789abcdef")", R"(,"bridge":"br%d")", R"(,"bridge":"")",
                           R"(,"args":{"cni":{"mac":"zz"}})"}) {
    EXPECT_NE(refusal(keys), "accepted") << keys;
    EXPECT_TRUE(readable) << keys;
  }
  (void)refusal(R"(,"vlan":4095)");
  EXPECT_FALSE(readable);
}

TEST(BridgeConfig, KnowsTheLeastMtuOfEitherFamily) {
  EXPECT_EQ(refusal(R"(,"mtu":67)"), "mtu: 67 is too small: a link takes at least 68 (RFC 791, section 3.2)");
  EXPECT_EQ(refusal(R"(,"mtu":68)"), "accepted");
  const auto of = [](const std::string& keys, std::optional<std::uint32_t> bridge = {}) {
    const auto good = check_ipv6_mtu(*config(keys), bridge);
    return good ? "accepted" : good.error().msg;
  };
  EXPECT_EQ(
      of(R"(,"mtu":1279)"),
      "mtu: 1279 is too small for IPv6, which needs links of at least 1280 (RFC 8200, section 5): give mtu 1280 or "
      "more, or no IPv6 addresses");
  EXPECT_EQ(of(R"(,"mtu":1280)", 1000), "accepted");  // which the bridge then has
  EXPECT_EQ(of("", 1280), "accepted");
  EXPECT_EQ(of("").find("too small"), std::string::npos);
  EXPECT_EQ(of("", 1000).find("mtu: the 1000 of bridge cni0 is too small"), 0U);
}

TEST(BridgeConfig, CountsEachVlanOfATrunkOnce) {
  EXPECT_EQ(config(R"(,"vlanTrunk":[{"minID":4093,"maxID":4094},{"id":4094},{"id":1},{"minID":1,"maxID":2}])")->trunk,
            (std::vector<std::uint16_t>{1, 2, 4093, 4094}));
}

TEST(BridgeConfig, TakesAnEmptyListOfDnsForAWish) {
  EXPECT_FALSE(config("")->has_dns);
  EXPECT_FALSE(config(R"(,"dns":{})")->has_dns);
  EXPECT_TRUE(config(R"(,"dns":{"search":[]})")->has_dns);
}

TEST(BridgeConfig, TakesTheMacOfTheClosestSource) {
  const std::string args = R"(,"args":{"cni":{"mac":"02:00:00:00:00:02"}})";
  const std::string runtime = R"(,"runtimeConfig":{"mac":"02:00:00:00:00:03"})";
  EXPECT_EQ(to_string(*config("", "MAC=02:00:00:00:00:01")->mac), "02:00:00:00:00:01");
  EXPECT_EQ(to_string(*config(args, "MAC=02:00:00:00:00:01")->mac), "02:00:00:00:00:02");
  EXPECT_EQ(to_string(*config(args + runtime, "MAC=02:00:00:00:00:01")->mac), "02:00:00:00:00:03");
  EXPECT_EQ(refusal("", "MAC=zz"), "failed to make veth pair: address zz: invalid MAC address");
}

TEST(BridgeConfig, NamesAKeyOfTheWrongType) {
  EXPECT_EQ(refusal(R"(,"isGateway":"yes")"),
            "failed to load netconf: isGateway: expected true or false, got the string \"yes\"");
  EXPECT_EQ(refusal(R"(,"mtu":70000)"), "mtu: 70000 is too large: a link takes at most 65535");
  EXPECT_EQ(config(R"(,"mtu":-1)")->mtu, 0);
  EXPECT_NE(refusal(R"(,"bridge":"a/b")"), "accepted");
  EXPECT_NE(refusal(R"(,"bridge":"0123456789abcdef")"), "accepted");
  EXPECT_NE(refusal(R"(,"ipam":[])"), "accepted");
}

}  // namespace
}  // namespace weir::cni::bridge
