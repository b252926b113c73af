// Names that say whose a thing is: those that other programs read are fixed to the byte.
#include <gtest/gtest.h>

#include "cni/bridge/attachment_link.h"
#include "cni/bridge/empty_bridge.h"
#include "cni/bridge/names.h"

namespace weir::cni::bridge {
namespace {

TEST(Names, OfChainsAndCommentsAreTheReferences) {
  EXPECT_EQ(iptables_chain("net1", "ctr1"), "CNI-85373d34c6846b6c53ee2e7f");
  EXPECT_EQ(iptables_comment("net1", "ctr1"), R"(name: "net1" id: "ctr1")");
  EXPECT_EQ(nft_comment("n", {"ab", "eth0"}), "917148ec47923f2e-774fe0559c1677e3, net: n, if: eth0, id: ab");
  EXPECT_EQ(nft_comment("n", {std::string(200, 'c'), "eth0"}).size(), 128U);
}

TEST(Names, OfAHashAreFoundWholeOrNotAtAll) {
  EXPECT_EQ(nft_hash_in("917148ec47923f2e-774fe0559c1677e3, net: n, if: eth0, id: ab"),
            "917148ec47923f2e-774fe0559c1677e3");
  for (const auto* text : {"", "917148ec47923f2e-774fe0559c1677e3", "917148ec47923f2e-774fe0559c1677e3 mine",
                           "917148ec47923f2eX774fe0559c1677e3, net: n", "zz7148ec47923f2e-774fe0559c1677e3, net: n"}) {
    EXPECT_EQ(nft_hash_in(text), "") << text;
  }
}

TEST(Names, OfHostVethsDifferByEveryPart) {
  const auto name = host_veth("net1", {"c1", "eth0"});
  EXPECT_EQ(name.size(), 15U);
  for (const auto& other : {host_veth("net10", {"c1", "eth0"}), host_veth("net1", {"c10", "eth0"}),
                            host_veth("net1", {"c1", "eth00"}), host_veth("net", {"1c1", "eth0"})}) {
    EXPECT_NE(other, name);
  }
  const auto mac = host_mac("net1", name);
  EXPECT_EQ(mac[0] & 3U, 2U);
  EXPECT_NE(mac, host_mac("net10", name));
}

TEST(Alias, ComesBackUnlessItWasCut) {
  const LinkAlias owner{"net1", {"c1", "eth0"}, "10.1.0.2,fd00::2"};
  const auto again = parse_alias(alias_of(owner));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->attachment, owner.attachment);
  EXPECT_EQ(again->addresses, owner.addresses);
  EXPECT_FALSE(parse_alias(alias_of({std::string(300, 'n'), {"c1", "eth0"}, {}})));
  for (const auto* text : {"", "cni net=net1", "cni net=n if=e id=c ip=1 more", "xcni net=n if=e id=c ip="}) {
    EXPECT_FALSE(parse_alias(text)) << text;
  }
}

TEST(Ownership, OfALinkNeedsItsKindItsNameAndItsMacOrAlias) {
  const Attachment owner{"c1", "eth0"};
  Link link;
  link.kind = "veth";
  link.name = host_veth("net1", owner);
  link.mac = host_mac("net1", link.name);
  EXPECT_TRUE(is_ours(link, "net1", owner));
  EXPECT_FALSE(is_ours(link, "net10", owner));
  auto other = link;
  other.kind = "dummy";
  EXPECT_FALSE(is_ours(other, "net1", owner));
  other = link;
  other.mac[5] ^= 1U;
  EXPECT_FALSE(is_ours(other, "net1", owner));
  other.alias = alias_of({"net1", owner, {}});
  EXPECT_TRUE(is_ours(other, "net1", owner));
  link.alias = alias_of({"net10", owner, {}});
  EXPECT_FALSE(is_ours(link, "net1", owner));
}

TEST(Ownership, AGatewaysPortIsKnownByItsAliasAndItsName) {
  Link port;
  port.kind = "veth";
  port.name = gateway_port("br1", "br1.7");
  port.alias = gateway_alias("br1.7");
  EXPECT_TRUE(is_gateway_port(port, "br1"));
  EXPECT_FALSE(is_gateway_port(port, "br2"));
  port.name = "veth12345678901";
  EXPECT_FALSE(is_gateway_port(port, "br1"));
  port.name = gateway_port("br1", "br1.7");
  port.alias.clear();
  EXPECT_FALSE(is_gateway_port(port, "br1"));
}

TEST(Ownership, ByPrevResultNeedsNameMacAndBridge) {
  Link link;
  link.kind = "veth";
  link.name = "veth12345678";
  link.mac = Mac{2, 0, 0, 0, 0, 1};
  link.master = 7;
  AddResult result;
  result.interfaces = {
      {.name = "veth12345678", .mac = "02:00:00:00:00:01", .sandbox = {}, .socket_path = {}, .pci_id = {}}};
  const Config config;
  EXPECT_TRUE(is_of_result(link, result, config, 7));
  EXPECT_FALSE(is_of_result(link, result, config, 8));
  EXPECT_FALSE(is_of_result(link, std::nullopt, config, 7));
  result.interfaces[0].mac = "02:00:00:00:00:02";
  EXPECT_FALSE(is_of_result(link, result, config, 7));
  result.interfaces[0].mac = "";
  EXPECT_FALSE(is_of_result(link, result, config, 7));
}

}  // namespace
}  // namespace weir::cni::bridge
