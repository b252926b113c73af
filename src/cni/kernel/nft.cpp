#include "cni/kernel/nft.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "cni/kernel/netlink_attributes.h"

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

// False if there is no such thing; else `each` has seen it.
auto is_there(NetlinkSocket& socket, Message message, const NetlinkSocket::Each& each) -> Answer<bool> {
  const auto answer = socket.ask(std::move(message), each);
  if (answer) return true;
  // A kernel without nf_tables refuses the whole subsystem.
  if (answer.error().code == ENOENT || answer.error().code == EINVAL) return false;
  return tl::unexpected(answer.error());
}

auto attributes_of(std::span<const std::uint8_t> payload) -> Attributes {
  return Attributes(payload.subspan(std::min(sizeof(nfgenmsg), payload.size())));
}

auto number_in(const Attributes& attributes, std::uint16_t type) -> std::uint32_t {
  return ::ntohl(attributes.number<std::uint32_t>(type).value_or(0));
}

auto ask_for_chain(const Table& table, std::string_view chain) -> Message {
  auto message = start(NFT_MSG_GETCHAIN, NLM_F_ACK, table.family);
  message.text(NFTA_CHAIN_TABLE, table.name).text(NFTA_CHAIN_NAME, chain);
  return message;
}

}  // namespace

auto table_state(NetlinkSocket& socket, const Table& table) -> Answer<TableState> {
  auto message = start(NFT_MSG_GETTABLE, NLM_F_ACK, table.family);
  message.text(NFTA_TABLE_NAME, table.name);
  bool asleep = false;
  const auto there = is_there(socket, std::move(message), [&](auto payload) {
    asleep = (number_in(attributes_of(payload), NFTA_TABLE_FLAGS) & NFT_TABLE_F_DORMANT) != 0;
  });
  if (!there) return tl::unexpected(there.error());
  if (!*there) return TableState::none;
  return asleep ? TableState::asleep : TableState::awake;
}

auto base_chain_state(NetlinkSocket& socket, const Table& table, std::string_view chain, const Hook& hook)
    -> Answer<ChainState> {
  bool at_hook = false;
  const auto there = is_there(socket, ask_for_chain(table, chain), [&](auto payload) {
    const auto attributes = attributes_of(payload);
    const auto place = attributes.nested(NFTA_CHAIN_HOOK);
    at_hook = attributes.text(NFTA_CHAIN_TYPE) == hook.type && place.find(NFTA_HOOK_HOOKNUM) &&
              number_in(place, NFTA_HOOK_HOOKNUM) == hook.number;
  });
  if (!there) return tl::unexpected(there.error());
  if (!*there) return ChainState::none;
  return at_hook ? ChainState::at_hook : ChainState::other;
}

auto has_chain(NetlinkSocket& socket, const Table& table, std::string_view chain) -> Answer<bool> {
  return is_there(socket, ask_for_chain(table, chain), [](auto) {});
}

auto list_rules(NetlinkSocket& socket, const Table& table, std::string_view chain) -> Answer<std::vector<Listed>> {
  std::vector<Listed> rules;
  const auto make = [&] {
    auto message = start(NFT_MSG_GETRULE, NLM_F_DUMP, table.family);
    message.text(NFTA_RULE_TABLE, table.name);
    if (!chain.empty()) message.text(NFTA_RULE_CHAIN, chain);
    return message;
  };
  const auto answer = socket.dump(
      make, [&] { rules.clear(); },
      [&](auto payload) {
        if (auto one = parse_rule(payload)) rules.push_back(std::move(*one));
      });
  if (!answer && answer.error().code != ENOENT && answer.error().code != EINVAL) return tl::unexpected(answer.error());
  return rules;
}

}  // namespace weir::cni::nft
