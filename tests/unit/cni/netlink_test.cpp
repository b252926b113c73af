// Netlink messages: what is written can be read again; VLAN messages, which this kernel may not take, byte
// for byte.
#include <gtest/gtest.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "cni/kernel/conntrack.h"
#include "cni/kernel/link.h"
#include "cni/kernel/netlink_attributes.h"
#include "cni/kernel/nft.h"

namespace weir::cni {
namespace {

auto attributes_of(Message& message, std::size_t fixed) -> Attributes {
  return Attributes(message.finish(1).subspan(sizeof(nlmsghdr) + fixed));
}

TEST(Netlink, AttributesComeBack) {
  Message message(RTM_NEWLINK, NLM_F_ACK);
  message.put(ifinfomsg{}).text(IFLA_IFNAME, "eth0").number(IFLA_MTU, std::uint32_t{1400});
  message.nest(IFLA_LINKINFO, [](Message& inner) { inner.text(IFLA_INFO_KIND, "veth"); });
  const auto read = attributes_of(message, sizeof(ifinfomsg));
  EXPECT_EQ(read.text(IFLA_IFNAME), "eth0");
  EXPECT_EQ(read.number<std::uint32_t>(IFLA_MTU), 1400U);
  EXPECT_EQ(read.nested(IFLA_LINKINFO).text(IFLA_INFO_KIND), "veth");
  EXPECT_FALSE(read.find(IFLA_ADDRESS));
}

TEST(Netlink, ADamagedAttributeEndsTheList) {
  const std::vector<std::uint8_t> cut{8, 0, 3, 0, 'x'};
  const std::vector<std::uint8_t> tiny{2, 0, 3, 0, 0, 0, 0, 0};
  EXPECT_FALSE(Attributes(cut).find(3));
  EXPECT_FALSE(Attributes(tiny).find(3));
}

TEST(Vlan, IsNativeOrTagged) {
  for (const bool native : {true, false}) {
    auto message = add_vlan(9, 7, native);
    const auto info =
        attributes_of(message, sizeof(ifinfomsg)).nested(IFLA_AF_SPEC).number<bridge_vlan_info>(IFLA_BRIDGE_VLAN_INFO);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->vid, 7);
    EXPECT_EQ(info->flags, native ? BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED : 0);
  }
}

TEST(Vlan, OfAPortIsListedAsItWasAdded) {
  for (const bool native : {true, false}) {
    auto message = add_vlan(9, 7, native);
    const auto payload = message.finish(1).subspan(sizeof(nlmsghdr));
    std::vector<PortVlan> found;
    parse_vlans(payload, 8, found);
    EXPECT_TRUE(found.empty()) << "another port's";
    parse_vlans(payload, 9, found);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].id, 7);
    EXPECT_EQ(found[0].native, native);
    parse_vlans(payload.first(5), 9, found);
    EXPECT_EQ(found.size(), 1U);
  }
}

TEST(Link_, IsReadFromWhatTheKernelSays) {
  Message message(RTM_NEWLINK, 0);
  ifinfomsg info{};
  info.ifi_index = 5;
  message.put(info)
      .text(IFLA_IFNAME, "veth1")
      .number(IFLA_MASTER, std::uint32_t{3})
      .number(IFLA_LINK, std::uint32_t{2});
  message.nest(IFLA_LINKINFO, [](Message& inner) {
    inner.text(IFLA_INFO_KIND, "veth").text(IFLA_INFO_SLAVE_KIND, "bridge");
    inner.nest(IFLA_INFO_SLAVE_DATA, [](Message& port) { port.number(IFLA_BRPORT_MODE, std::uint8_t{1}); });
  });
  const auto link = parse_link(message.finish(1).subspan(sizeof(nlmsghdr)));
  EXPECT_EQ(link.index, 5U);
  EXPECT_EQ(link.master, 3U);
  EXPECT_EQ(link.peer, 2U);
  EXPECT_EQ(link.kind, "veth");
  EXPECT_TRUE(link.hairpin);
  EXPECT_FALSE(link.isolated);
  EXPECT_EQ(parse_link({}).index, 0U);
}

TEST(Conntrack, IsAskedForOneAddressOnly) {
  auto message = list_connections(*Ip::parse("10.1.0.2"));
  const auto read = attributes_of(message, sizeof(nfgenmsg));
  const auto source = read.nested(CTA_TUPLE_ORIG).nested(CTA_TUPLE_IP).find(CTA_IP_V4_SRC);
  ASSERT_TRUE(source);
  EXPECT_EQ(Ip::from_bytes(*source), Ip::parse("10.1.0.2"));
  EXPECT_EQ(read.nested(CTA_FILTER).number<std::uint32_t>(CTA_FILTER_ORIG_FLAGS), 1U);
}

TEST(Conntrack, IsDeletedByTheSameFilter) {
  auto message = delete_connections(*Ip::parse("10.1.0.2"));
  ASSERT_TRUE(message);
  const auto read = attributes_of(*message, sizeof(nfgenmsg));
  const auto source = read.nested(CTA_TUPLE_ORIG).nested(CTA_TUPLE_IP).find(CTA_IP_V4_SRC);
  ASSERT_TRUE(source);
  EXPECT_EQ(Ip::from_bytes(*source), Ip::parse("10.1.0.2"));
  // Without the filter the kernel would take it for "all of them".
  EXPECT_EQ(read.nested(CTA_FILTER).number<std::uint32_t>(CTA_FILTER_ORIG_FLAGS), 1U);
}

TEST(Conntrack, OfIpv6IsListedWhole) {
  EXPECT_FALSE(delete_connections(*Ip::parse("fd00::2")));
  auto message = list_connections(*Ip::parse("fd00::2"));
  EXPECT_FALSE(attributes_of(message, sizeof(nfgenmsg)).find(CTA_FILTER)) << "the kernel's IPv6 filter is wrong";
}

TEST(NftComment, HasItsTypeItsLengthAndItsZero) {
  EXPECT_EQ(nft::user_data("ab"), (std::vector<std::uint8_t>{0, 3, 'a', 'b', 0}));
}

}  // namespace
}  // namespace weir::cni
