#include "cni/kernel/nft.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace weir::cni::nft {
namespace {

auto type_of(unsigned message) -> std::uint16_t {
  return static_cast<std::uint16_t>((unsigned{NFNL_SUBSYS_NFTABLES} << 8U) | message);
}

auto start(unsigned type, std::uint16_t flags, std::uint8_t family) -> Message {
  Message message(type_of(type), flags);
  message.put(nfgenmsg{.nfgen_family = family, .version = NFNETLINK_V0, .res_id = 0});
  return message;
}

auto number(Message& message, std::uint16_t type, std::uint32_t value) -> void { message.number(type, ::htonl(value)); }

auto comment_of(std::span<const std::uint8_t> data) -> std::string {
  while (data.size() >= 2 && data.size() >= std::size_t{2} + data[1]) {
    if (data[0] == 0) {
      const auto text = data.subspan(2, data[1]);
      return {text.begin(), std::find(text.begin(), text.end(), std::uint8_t{0})};
    }
    data = data.subspan(std::size_t{2} + data[1]);
  }
  return {};
}

}  // namespace

auto user_data(std::string_view comment) -> std::vector<std::uint8_t> {
  std::vector<std::uint8_t> out;
  out.reserve(comment.size() + 3);
  out.push_back(0);
  out.push_back(static_cast<std::uint8_t>(comment.size() + 1));
  for (const char c : comment) out.push_back(static_cast<std::uint8_t>(c));
  out.push_back(0);
  return out;
}

auto new_table(const Table& table, std::string_view comment) -> Message {
  auto message = start(NFT_MSG_NEWTABLE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, table.family);
  message.text(NFTA_TABLE_NAME, table.name);
  if (!comment.empty()) message.bytes(NFTA_TABLE_USERDATA, user_data(comment));
  return message;
}

auto new_chain(const Table& table, std::string_view chain, const std::optional<Hook>& hook, std::string_view comment)
    -> Message {
  auto message = start(NFT_MSG_NEWCHAIN, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, table.family);
  message.text(NFTA_CHAIN_TABLE, table.name).text(NFTA_CHAIN_NAME, chain);
  if (hook) {
    message.nest(NFTA_CHAIN_HOOK, [&](Message& inner) {
      number(inner, NFTA_HOOK_HOOKNUM, hook->number);
      number(inner, NFTA_HOOK_PRIORITY, static_cast<std::uint32_t>(hook->priority));
    });
    message.text(NFTA_CHAIN_TYPE, hook->type);
    number(message, NFTA_CHAIN_POLICY, NF_ACCEPT);
  }
  if (!comment.empty()) message.bytes(NFTA_CHAIN_USERDATA, user_data(comment));
  return message;
}

auto delete_chain(const Table& table, std::string_view chain) -> Message {
  auto message = start(NFT_MSG_DELCHAIN, NLM_F_ACK, table.family);
  message.text(NFTA_CHAIN_TABLE, table.name).text(NFTA_CHAIN_NAME, chain);
  return message;
}

auto flush_chain(const Table& table, std::string_view chain) -> Message {
  auto message = start(NFT_MSG_DELRULE, NLM_F_ACK, table.family);
  message.text(NFTA_RULE_TABLE, table.name).text(NFTA_RULE_CHAIN, chain);
  return message;
}

auto delete_rule(const Table& table, std::string_view chain, std::uint64_t handle) -> Message {
  auto message = flush_chain(table, chain);  // a handle makes it this one rule
  message.number(NFTA_RULE_HANDLE, ::htobe64(handle));
  return message;
}

namespace {

auto is_there(NetlinkSocket& socket, Message message) -> Answer<bool> {
  const auto answer = socket.ask(std::move(message), [](auto) {});
  if (answer) return true;
  if (answer.error().code == ENOENT) return false;
  return tl::unexpected(answer.error());
}

}  // namespace

auto has_table(NetlinkSocket& socket, const Table& table) -> Answer<bool> {
  auto message = start(NFT_MSG_GETTABLE, NLM_F_ACK, table.family);
  message.text(NFTA_TABLE_NAME, table.name);
  return is_there(socket, std::move(message));
}

auto has_chain(NetlinkSocket& socket, const Table& table, std::string_view chain) -> Answer<bool> {
  auto message = start(NFT_MSG_GETCHAIN, NLM_F_ACK, table.family);
  message.text(NFTA_CHAIN_TABLE, table.name).text(NFTA_CHAIN_NAME, chain);
  return is_there(socket, std::move(message));
}

namespace {

auto parse_rule(std::span<const std::uint8_t> payload) -> std::optional<Listed> {
  if (payload.size() < sizeof(nfgenmsg)) return std::nullopt;
  const Attributes attributes(payload.subspan(sizeof(nfgenmsg)));
  Listed rule;
  rule.handle = ::be64toh(attributes.number<std::uint64_t>(NFTA_RULE_HANDLE).value_or(0));
  if (const auto data = attributes.find(NFTA_RULE_USERDATA)) rule.comment = comment_of(*data);
  // iifname "x" is "meta load iifname" followed by a comparison with the name, padded with zeros.
  bool loaded = false;
  attributes.nested(NFTA_RULE_EXPRESSIONS).for_each([&](auto, auto element) {
    const Attributes expression(element);
    const auto name = expression.text(NFTA_EXPR_NAME);
    const auto data = expression.nested(NFTA_EXPR_DATA);
    if (name == "meta")
      loaded = ::ntohl(data.template number<std::uint32_t>(NFTA_META_KEY).value_or(0)) == NFT_META_IIFNAME;
    if (name == "cmp" && loaded) rule.input_interface = data.nested(NFTA_CMP_DATA).text(NFTA_DATA_VALUE);
    if (name != "meta") loaded = false;
  });
  return rule;
}

}  // namespace

auto list_rules(NetlinkSocket& socket, const Table& table, std::string_view chain) -> Answer<std::vector<Listed>> {
  std::vector<Listed> rules;
  const auto make = [&] {
    auto message = start(NFT_MSG_GETRULE, NLM_F_DUMP, table.family);
    message.text(NFTA_RULE_TABLE, table.name).text(NFTA_RULE_CHAIN, chain);
    return message;
  };
  const auto answer = socket.dump(
      make, [&] { rules.clear(); },
      [&](auto payload) {
        if (auto one = parse_rule(payload)) rules.push_back(std::move(*one));
      });
  // A kernel without nf_tables refuses the whole subsystem, and has no rules either.
  if (!answer && answer.error().code != ENOENT && answer.error().code != EINVAL) return tl::unexpected(answer.error());
  return rules;
}

auto has_commit_of(NetlinkSocket& socket, pid_t pid) -> bool {
  std::array<std::uint8_t, 8192> buffer{};
  while (true) {
    const auto n = ::recv(socket.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n < 0) return errno == ENOBUFS;
    std::span<const std::uint8_t> rest(buffer.data(), static_cast<std::size_t>(n));
    nlmsghdr header{};
    while (rest.size() >= sizeof(header)) {
      std::memcpy(&header, rest.data(), sizeof(header));
      if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > rest.size()) break;
      const auto payload = rest.subspan(sizeof(header), header.nlmsg_len - sizeof(header));
      const auto attributes = Attributes(payload.subspan(std::min(payload.size(), sizeof(nfgenmsg))));
      const auto process = attributes.number<std::uint32_t>(NFTA_GEN_PROC_PID);
      if (header.nlmsg_type == type_of(NFT_MSG_NEWGEN) && process &&
          ::ntohl(*process) == static_cast<std::uint32_t>(pid)) {
        return true;
      }
      rest = rest.subspan(std::min<std::size_t>((header.nlmsg_len + 3U) & ~3U, rest.size()));
    }
  }
}

}  // namespace weir::cni::nft
