// The expressions of a rule.
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <array>

#include "cni/kernel/nft.h"

namespace weir::cni::nft {
namespace {

constexpr std::uint32_t scratch = NFT_REG_1;  // every load and comparison uses this register

auto number(Message& message, std::uint16_t type, std::uint32_t value) -> void { message.number(type, ::htonl(value)); }

auto value_of(Message& message, std::uint16_t type, std::span<const std::uint8_t> value) -> void {
  message.nest(type, [&](Message& inner) { inner.bytes(NFTA_DATA_VALUE, value); });
}

}  // namespace

Rule::Rule(Table table, std::string_view chain, std::string_view comment)
    : table_(std::move(table)), chain_(chain), comment_(comment) {}

// In a table for both families nft first compares the packet's; it does so once.
auto Rule::family_is(bool v4) -> void {
  if (table_.family != NFPROTO_INET || std::exchange(family_known_, true)) return;
  expressions_.push_back({"meta", [](Message& data) {
                            number(data, NFTA_META_KEY, NFT_META_NFPROTO);
                            number(data, NFTA_META_DREG, scratch);
                          }});
  compare(true, std::array<std::uint8_t, 1>{static_cast<std::uint8_t>(v4 ? NFPROTO_IPV4 : NFPROTO_IPV6)});
}

auto Rule::payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length) -> void {
  expressions_.push_back({"payload", [=](Message& data) {
                            number(data, NFTA_PAYLOAD_DREG, scratch);
                            number(data, NFTA_PAYLOAD_BASE, base);
                            number(data, NFTA_PAYLOAD_OFFSET, offset);
                            number(data, NFTA_PAYLOAD_LEN, length);
                          }});
}

auto Rule::compare(bool equal, std::span<const std::uint8_t> value) -> void {
  expressions_.push_back({"cmp", [equal, copy = std::vector<std::uint8_t>(value.begin(), value.end())](Message& data) {
                            number(data, NFTA_CMP_SREG, scratch);
                            number(data, NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
                            value_of(data, NFTA_CMP_DATA, copy);
                          }});
}

auto Rule::source_is(const Ip& ip) -> Rule& {
  family_is(ip.is_v4());
  payload(NFT_PAYLOAD_NETWORK_HEADER, ip.is_v4() ? 12 : 8, ip.is_v4() ? 4 : 16);
  compare(true, ip.bytes());
  return *this;
}

auto Rule::destination_in(const Prefix& network, bool in) -> Rule& {
  const bool v4 = network.ip.is_v4();
  const auto address = network.network().ip;
  family_is(v4);
  // A prefix of whole bytes is compared as that many bytes; another is masked first. So does nft.
  const bool whole = network.length % 8 == 0 && network.length > 0;
  const std::uint32_t length = whole ? network.length / 8 : network.ip.bits() / 8;
  payload(NFT_PAYLOAD_NETWORK_HEADER, v4 ? 16 : 24, length);
  if (!whole) {
    const std::array<std::uint8_t, 16> none{};
    std::array<std::uint8_t, 16> ones{};
    ones.fill(0xff);
    const auto all = *Ip::from_bytes(std::span(ones).first(length));
    const auto mask = all.masked(network.length);
    expressions_.push_back({"bitwise", [=](Message& data) {
                              number(data, NFTA_BITWISE_SREG, scratch);
                              number(data, NFTA_BITWISE_DREG, scratch);
                              number(data, NFTA_BITWISE_LEN, length);
                              value_of(data, NFTA_BITWISE_MASK, mask.bytes());
                              value_of(data, NFTA_BITWISE_XOR, std::span(none).first(length));
                            }});
  }
  compare(in, address.bytes().first(length));
  return *this;
}

auto Rule::input_interface_is(std::string_view name) -> Rule& {
  expressions_.push_back({"meta", [](Message& data) {
                            number(data, NFTA_META_KEY, NFT_META_IIFNAME);
                            number(data, NFTA_META_DREG, scratch);
                          }});
  std::array<std::uint8_t, 16> padded{};
  std::copy_n(name.begin(), std::min(name.size(), padded.size() - 1), padded.begin());
  compare(true, padded);
  return *this;
}

auto Rule::ether_source_is(const Mac& mac) -> Rule& {
  payload(NFT_PAYLOAD_LL_HEADER, 6, 6);
  compare(true, mac);
  return *this;
}

auto Rule::masquerade() -> Rule& {
  expressions_.push_back({"masq", [](Message&) {}});
  return *this;
}

auto Rule::verdict(std::int32_t code, std::string_view chain) -> Rule& {
  expressions_.push_back({"immediate", [code, name = std::string(chain)](Message& data) {
                            number(data, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
                            data.nest(NFTA_IMMEDIATE_DATA, [&](Message& value) {
                              value.nest(NFTA_DATA_VERDICT, [&](Message& inner) {
                                number(inner, NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code));
                                if (!name.empty()) inner.text(NFTA_VERDICT_CHAIN, name);
                              });
                            });
                          }});
  return *this;
}

auto Rule::jump(std::string_view chain) -> Rule& { return verdict(NFT_JUMP, chain); }
auto Rule::go_to(std::string_view chain) -> Rule& { return verdict(NFT_GOTO, chain); }
auto Rule::give_back() -> Rule& { return verdict(NFT_RETURN, {}); }
auto Rule::drop() -> Rule& { return verdict(NF_DROP, {}); }

auto Rule::message() const -> Message {
  Message message(static_cast<std::uint16_t>((unsigned{NFNL_SUBSYS_NFTABLES} << 8U) | NFT_MSG_NEWRULE),
                  NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND);
  message.put(nfgenmsg{.nfgen_family = table_.family, .version = NFNETLINK_V0, .res_id = 0});
  message.text(NFTA_RULE_TABLE, table_.name).text(NFTA_RULE_CHAIN, chain_);
  message.nest(NFTA_RULE_EXPRESSIONS, [&](Message& list) {
    for (const auto& expression : expressions_) {
      list.nest(NFTA_LIST_ELEM, [&](Message& element) {
        element.text(NFTA_EXPR_NAME, expression.name);
        element.nest(NFTA_EXPR_DATA, expression.data);
      });
    }
  });
  if (!comment_.empty()) message.bytes(NFTA_RULE_USERDATA, user_data(comment_));
  return message;
}

}  // namespace weir::cni::nft
