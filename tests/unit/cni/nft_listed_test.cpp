// What is read out of rules as the kernel lists them: our own, and those that iptables-nft writes.
#include <arpa/inet.h>
#include <endian.h>
#include <gtest/gtest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "cni/kernel/nft.h"

namespace weir::cni::nft {
namespace {

using Bytes = std::vector<std::uint8_t>;

// A rule of x_tables' shape, expression by expression.
class Writing {
 public:
  explicit Writing(std::uint8_t family) : message_(0, 0) {
    message_.put(nfgenmsg{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = 0});
    message_.text(NFTA_RULE_TABLE, "nat").text(NFTA_RULE_CHAIN, "POSTROUTING");
    message_.number(NFTA_RULE_HANDLE, ::htobe64(7));
  }
  auto payload(std::uint32_t offset, std::uint32_t length) -> Writing& {
    return expression("payload", [=](Message& data) {
      number(data, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
      number(data, NFTA_PAYLOAD_OFFSET, offset);
      number(data, NFTA_PAYLOAD_LEN, length);
    });
  }
  auto ether(std::uint32_t offset) -> Writing& {
    return expression("payload", [=](Message& data) {
      number(data, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_LL_HEADER);
      number(data, NFTA_PAYLOAD_OFFSET, offset);
      number(data, NFTA_PAYLOAD_LEN, 6);
    });
  }
  auto meta(std::uint32_t key) -> Writing& {
    return expression("meta", [=](Message& data) { number(data, NFTA_META_KEY, key); });
  }
  auto verdict(std::int32_t code) -> Writing& {
    return expression("immediate", [&](Message& data) {
      data.nest(NFTA_IMMEDIATE_DATA, [&](Message& inner) {
        inner.nest(NFTA_DATA_VERDICT,
                   [&](Message& it) { number(it, NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code)); });
      });
    });
  }
  auto mask(const Bytes& mask) -> Writing& {
    return expression("bitwise", [&](Message& data) { value(data, NFTA_BITWISE_MASK, mask); });
  }
  auto compare(std::uint32_t how, const Bytes& with) -> Writing& {
    return expression("cmp", [&](Message& data) {
      number(data, NFTA_CMP_OP, how);
      value(data, NFTA_CMP_DATA, with);
    });
  }
  auto comment(std::string_view text) -> Writing& {
    return expression("match", [&](Message& data) {
      Bytes info(256);  // struct xt_comment_info
      std::copy(text.begin(), text.end(), info.begin());
      data.text(NFTA_MATCH_NAME, "comment").bytes(NFTA_MATCH_INFO, info);
    });
  }
  auto jump(std::string_view chain) -> Writing& {
    return expression("immediate", [&](Message& data) {
      data.nest(NFTA_IMMEDIATE_DATA, [&](Message& inner) {
        inner.nest(NFTA_DATA_VERDICT, [&](Message& verdict) { verdict.text(NFTA_VERDICT_CHAIN, chain); });
      });
    });
  }
  auto read() -> Listed {
    message_.nest(NFTA_RULE_EXPRESSIONS, [&](Message& list) {
      for (const auto& each : expressions_) {
        list.nest(NFTA_LIST_ELEM, [&](Message& element) {
          element.text(NFTA_EXPR_NAME, each.first);
          element.bytes(NFTA_EXPR_DATA, each.second);
        });
      }
    });
    return *parse_rule(message_.finish(1).subspan(sizeof(nlmsghdr)));
  }

 private:
  template <class Write>
  auto expression(std::string name, Write write) -> Writing& {
    Message data(0, 0);
    write(data);
    const auto bytes = data.finish(1).subspan(sizeof(nlmsghdr));
    expressions_.emplace_back(std::move(name), Bytes(bytes.begin(), bytes.end()));
    return *this;
  }
  static auto number(Message& data, std::uint16_t type, std::uint32_t value) -> void {
    data.number(type, ::htonl(value));
  }
  static auto value(Message& data, std::uint16_t type, const Bytes& bytes) -> void {
    data.nest(type, [&](Message& inner) { inner.bytes(NFTA_DATA_VALUE, bytes); });
  }
  Message message_;
  std::vector<std::pair<std::string, Bytes>> expressions_;
};

TEST(ListedRule, IsAJumpOfIptables) {
  const auto rule = Writing(NFPROTO_IPV4)
                        .payload(12, 4)
                        .compare(NFT_CMP_EQ, {10, 1, 0, 9})
                        .comment("name: \"n\" id: \"c\"")
                        .jump("CNI-1")
                        .read();
  EXPECT_EQ(rule.chain, "POSTROUTING");
  EXPECT_EQ(rule.handle, 7U);
  EXPECT_EQ(rule.target, "CNI-1");
  EXPECT_EQ(rule.comment, "name: \"n\" id: \"c\"");
  EXPECT_EQ(rule.source, Prefix::parse("10.1.0.9/32"));
}

TEST(ListedRule, ComparesAPrefixByBytesOrByAMask) {
  EXPECT_EQ(Writing(NFPROTO_IPV4).payload(12, 2).compare(NFT_CMP_EQ, {10, 1}).read().source,
            Prefix::parse("10.1.0.0/16"));
  EXPECT_EQ(
      Writing(NFPROTO_IPV4).payload(12, 4).mask({255, 255, 240, 0}).compare(NFT_CMP_EQ, {10, 1, 16, 0}).read().source,
      Prefix::parse("10.1.16.0/20"));
  EXPECT_EQ(Writing(NFPROTO_IPV6).payload(8, 8).compare(NFT_CMP_EQ, {0xfd, 0, 0, 9, 0, 0, 0, 0}).read().source,
            Prefix::parse("fd00:9::/64"));
}

TEST(ListedRule, OfAnotherConditionHasNoSource) {
  const Bytes ip{10, 1, 0, 9};
  EXPECT_FALSE(Writing(NFPROTO_IPV4).payload(12, 4).compare(NFT_CMP_NEQ, ip).read().source);  // ! -s
  EXPECT_FALSE(Writing(NFPROTO_IPV4).payload(16, 4).compare(NFT_CMP_EQ, ip).read().source);   // -d
  EXPECT_FALSE(Writing(NFPROTO_INET).payload(12, 4).compare(NFT_CMP_EQ, ip).read().source);   // of either family
  EXPECT_FALSE(Writing(NFPROTO_IPV4).payload(12, 4).mask({255, 0, 255, 0}).compare(NFT_CMP_EQ, ip).read().source);
  EXPECT_FALSE(Writing(NFPROTO_IPV4).compare(NFT_CMP_EQ, ip).read().source);
}

TEST(ListedRule, OfATableOfBothFamiliesSaysWhichItIsAbout) {
  auto v4 = Writing(NFPROTO_INET).meta(NFT_META_NFPROTO).compare(NFT_CMP_EQ, {NFPROTO_IPV4});
  const auto multicast = v4.payload(16, 1).mask({0xf0}).compare(NFT_CMP_EQ, {224}).verdict(NFT_RETURN).read();
  EXPECT_EQ(multicast.destination, Prefix::parse("224.0.0.0/4"));
  EXPECT_EQ(multicast.target, "RETURN");
  EXPECT_TRUE(multicast.is_conditional);
  auto v6 = Writing(NFPROTO_INET).meta(NFT_META_NFPROTO).compare(NFT_CMP_EQ, {NFPROTO_IPV6});
  EXPECT_EQ(v6.payload(24, 1).compare(NFT_CMP_EQ, {0xff}).read().destination, Prefix::parse("ff00::/8"));
}

TEST(ListedRule, AsksForNothingOrForAMac) {
  EXPECT_FALSE(Writing(NFPROTO_INET).jump("masq_checks").read().is_conditional);
  const auto passes =
      Writing(NFPROTO_BRIDGE).ether(6).compare(NFT_CMP_EQ, {2, 0, 0, 0, 0, 1}).verdict(NFT_RETURN).read();
  EXPECT_EQ(passes.ether_source, (Mac{2, 0, 0, 0, 0, 1}));
  EXPECT_FALSE(Writing(NFPROTO_BRIDGE).ether(0).compare(NFT_CMP_EQ, {2, 0, 0, 0, 0, 1}).read().ether_source);
  EXPECT_FALSE(Writing(NFPROTO_BRIDGE).ether(6).compare(NFT_CMP_NEQ, {2, 0, 0, 0, 0, 1}).read().ether_source);
  EXPECT_EQ(Writing(NFPROTO_BRIDGE).verdict(NF_DROP).read().target, "DROP");
}

TEST(ListedRule, IsReadAsFarAsItGoes) {
  EXPECT_FALSE(parse_rule({}));
  const Bytes header(sizeof(nfgenmsg));
  ASSERT_TRUE(parse_rule(header));
  EXPECT_EQ(parse_rule(header)->handle, 0U);
  // A comparison longer than any address, and one without a value.
  EXPECT_EQ(Writing(NFPROTO_IPV4).payload(12, 4).compare(NFT_CMP_EQ, Bytes(40, 10)).read().source,
            Prefix::parse("10.10.10.10/32"));
  EXPECT_EQ(Writing(NFPROTO_IPV4).payload(12, 4).compare(NFT_CMP_EQ, {}).read().source, Prefix::parse("0.0.0.0/32"));
}

}  // namespace
}  // namespace weir::cni::nft
