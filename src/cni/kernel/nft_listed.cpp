// What is read out of a rule's expressions.
#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <bit>

#include "cni/kernel/nft.h"

#include "cni/kernel/netlink_attributes.h"

namespace weir::cni::nft {
namespace {

auto number(const Attributes& data, std::uint16_t type) -> std::uint32_t {
  return ::ntohl(data.number<std::uint32_t>(type).value_or(0));
}

auto until_zero(std::span<const std::uint8_t> bytes) -> std::string {
  return {bytes.begin(), std::find(bytes.begin(), bytes.end(), std::uint8_t{0})};
}

// User data is a list of (type, length, value); type 0 is a comment.
auto comment_of(std::span<const std::uint8_t> data) -> std::string {
  while (data.size() >= 2 && data.size() >= std::size_t{2} + data[1]) {
    if (data[0] == 0) return until_zero(data.subspan(2, data[1]));
    data = data.subspan(std::size_t{2} + data[1]);
  }
  return {};
}

// Length of the prefix that `mask` stands for; nullopt if its ones are not all in front.
auto prefix_length(std::span<const std::uint8_t> mask) -> std::optional<unsigned> {
  unsigned length = 0;
  bool ended = false;
  for (const auto byte : mask) {
    const auto ones = static_cast<unsigned>(std::countl_one(byte));
    if ((ended && byte != 0) || ones != static_cast<unsigned>(std::popcount(byte))) return std::nullopt;
    length += ones;
    ended = ended || ones < 8;
  }
  return length;
}

auto verdict_name(std::uint32_t code) -> std::string_view {
  switch (static_cast<std::int32_t>(code)) {
    case NF_ACCEPT: return "ACCEPT";
    case NF_DROP: return "DROP";
    case NFT_RETURN: return "RETURN";
    default: return "";
  }
}

// Follows a rule's expressions one by one: a comparison is about what the expressions before it have loaded.
class Expressions {
 public:
  Expressions(std::uint8_t family, Listed& into)
      : v4_(family == NFPROTO_IPV4), v6_(family == NFPROTO_IPV6), into_(&into) {}

  auto take(std::string_view name, const Attributes& data) -> void {
    into_->is_conditional = into_->is_conditional || (name != "immediate" && name != "counter");
    if (name == "meta") {
      const auto key = number(data, NFTA_META_KEY);
      load(key == NFT_META_IIFNAME   ? Loaded::input_interface
           : key == NFT_META_NFPROTO ? Loaded::family
                                     : Loaded::other);
    } else if (name == "payload") {
      load(part_of_header(data));
      length_ = number(data, NFTA_PAYLOAD_LEN) * 8;
    } else if (name == "bitwise") {
      mask(data.nested(NFTA_BITWISE_MASK).find(NFTA_DATA_VALUE));
    } else if (name == "cmp") {
      compare(number(data, NFTA_CMP_OP) == NFT_CMP_EQ, data.nested(NFTA_CMP_DATA).find(NFTA_DATA_VALUE));
    } else if (name == "immediate") {
      const auto verdict = data.nested(NFTA_IMMEDIATE_DATA).nested(NFTA_DATA_VERDICT);
      into_->target = verdict.text(NFTA_VERDICT_CHAIN);
      // Without a code it is no verdict, but a value for a register.
      if (into_->target.empty() && verdict.find(NFTA_VERDICT_CODE)) {
        into_->target = verdict_name(number(verdict, NFTA_VERDICT_CODE));
      }
    } else if (name == "target") {
      into_->target = data.text(NFTA_TARGET_NAME);
    } else if (name == "masq") {
      into_->target = "MASQUERADE";
    } else if (name == "match" && data.text(NFTA_MATCH_NAME) == "comment") {
      if (const auto info = data.find(NFTA_MATCH_INFO)) into_->comment = until_zero(*info);
    }
  }

 private:
  enum class Loaded { other, input_interface, family, ether_source, source, destination };

  auto load(Loaded what) -> void { loaded_ = what; }

  // Where IEEE 802.3, RFC 791 and RFC 8200 have the addresses.
  [[nodiscard]] auto part_of_header(const Attributes& data) const -> Loaded {
    if (number(data, NFTA_PAYLOAD_BASE) == NFT_PAYLOAD_LL_HEADER) {
      const bool is_it = number(data, NFTA_PAYLOAD_OFFSET) == 6 && number(data, NFTA_PAYLOAD_LEN) == Mac{}.size();
      return is_it ? Loaded::ether_source : Loaded::other;
    }
    if (number(data, NFTA_PAYLOAD_BASE) != NFT_PAYLOAD_NETWORK_HEADER || (!v4_ && !v6_)) return Loaded::other;
    if (number(data, NFTA_PAYLOAD_LEN) > (v4_ ? 4U : 16U)) return Loaded::other;
    const auto offset = number(data, NFTA_PAYLOAD_OFFSET);
    if (offset == (v4_ ? 12U : 8U)) return Loaded::source;
    return offset == (v4_ ? 16U : 24U) ? Loaded::destination : Loaded::other;
  }

  auto mask(const std::optional<std::span<const std::uint8_t>>& value) -> void {
    const auto length = value ? prefix_length(*value) : std::nullopt;
    if ((loaded_ == Loaded::source || loaded_ == Loaded::destination) && length) {
      length_ = *length;
    } else {
      load(Loaded::other);
    }
  }

  auto compare(bool equal, const std::optional<std::span<const std::uint8_t>>& value) -> void {
    if (!value) return;
    // Of a table of both families, such as inet.
    if (loaded_ == Loaded::family && equal && !value->empty()) {
      v4_ = value->front() == NFPROTO_IPV4;
      v6_ = value->front() == NFPROTO_IPV6;
    }
    if (loaded_ == Loaded::input_interface && equal) into_->input_interface = until_zero(*value);
    if (loaded_ == Loaded::ether_source && equal && value->size() == Mac{}.size()) {
      std::copy(value->begin(), value->end(), into_->ether_source.emplace().begin());
    }
    // mutant: negated-source-taken-for-one
    if (loaded_ != Loaded::destination && (loaded_ != Loaded::source || !equal)) return;
    std::array<std::uint8_t, 16> bytes{};  // a prefix of whole bytes is compared as that many
    std::copy_n(value->begin(), std::min(value->size(), bytes.size()), bytes.begin());
    const auto ip = Ip::from_bytes(std::span(bytes).first(v4_ ? 4 : 16));
    if (!ip || length_ > ip->bits()) return;
    (loaded_ == Loaded::source ? into_->source : into_->destination) = Prefix{*ip, length_};
    if (loaded_ == Loaded::destination) into_->destination_is_outside = !equal;
  }

  bool v4_;
  bool v6_;
  Listed* into_;
  Loaded loaded_ = Loaded::other;
  unsigned length_ = 0;  // bits of the address that are compared
};

}  // namespace

auto parse_rule(std::span<const std::uint8_t> payload) -> std::optional<Listed> {
  nfgenmsg about{};
  if (payload.size() < sizeof(about)) return std::nullopt;
  std::memcpy(&about, payload.data(), sizeof(about));
  const Attributes attributes(payload.subspan(sizeof(about)));
  Listed rule;
  rule.chain = attributes.text(NFTA_RULE_CHAIN);
  rule.handle = ::be64toh(attributes.number<std::uint64_t>(NFTA_RULE_HANDLE).value_or(0));
  if (const auto data = attributes.find(NFTA_RULE_USERDATA)) rule.comment = comment_of(*data);
  Expressions expressions(about.nfgen_family, rule);
  attributes.nested(NFTA_RULE_EXPRESSIONS).for_each([&](auto, auto element) {
    const Attributes expression(element);
    expressions.take(expression.text(NFTA_EXPR_NAME), expression.nested(NFTA_EXPR_DATA));
  });
  return rule;
}

}  // namespace weir::cni::nft
