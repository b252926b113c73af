#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cni/kernel/netlink_socket.h"
#include "cni/spec/ip.h"

namespace weir::cni::nft {

// nf_tables spoken raw (linux/netfilter/nf_tables.h): libnftables and libnftnl are GPL and cost start-up.
// Rules are built of the same expressions that nft(8) makes of its text, so that `nft list` shows the text.

struct Table {
  std::uint8_t family = 0;  // NFPROTO_INET, NFPROTO_BRIDGE, NFPROTO_IPV4, NFPROTO_IPV6
  std::string name;
};
struct Hook {
  std::string type;  // "filter", "nat"
  std::uint32_t number = 0;
  std::int32_t priority = 0;
};

[[nodiscard]] auto new_table(const Table& table, std::string_view comment) -> Message;
// Refused with EEXIST if it is there: adding a base chain again would be an update, which costs some 15 ms
// when the socket is closed.
[[nodiscard]] auto new_chain(const Table& table, std::string_view chain, const std::optional<Hook>& hook,
                             std::string_view comment) -> Message;
[[nodiscard]] auto delete_chain(const Table& table, std::string_view chain) -> Message;
[[nodiscard]] auto flush_chain(const Table& table, std::string_view chain) -> Message;
[[nodiscard]] auto delete_rule(const Table& table, std::string_view chain, std::uint64_t handle) -> Message;
// `asleep`: there, but none of its rules is looked at (nft: "flags dormant").
enum class TableState { none, awake, asleep };
[[nodiscard]] auto table_state(NetlinkSocket& socket, const Table& table) -> Answer<TableState>;
// `other`: there is a chain of that name, but no packets come to it as they would by `hook` (its priority aside).
enum class ChainState { none, at_hook, other };
[[nodiscard]] auto base_chain_state(NetlinkSocket& socket, const Table& table, std::string_view chain, const Hook& hook)
    -> Answer<ChainState>;
[[nodiscard]] auto has_chain(NetlinkSocket& socket, const Table& table, std::string_view chain) -> Answer<bool>;

// A rule being written, expression by expression; appended to its chain.
class Rule {
 public:
  Rule(Table table, std::string_view chain, std::string_view comment);

  auto source_is(const Ip& ip) -> Rule&;                         // ip saddr A
  auto destination_in(const Prefix& network, bool in) -> Rule&;  // ip daddr [!=] N
  auto input_interface_is(std::string_view name) -> Rule&;       // iifname "N"
  auto ether_source_is(const Mac& mac) -> Rule&;                 // ether saddr M
  auto masquerade() -> Rule&;
  auto jump(std::string_view chain) -> Rule&;
  auto go_to(std::string_view chain) -> Rule&;
  auto give_back() -> Rule&;  // return
  auto drop() -> Rule&;
  [[nodiscard]] auto message() const -> Message;

 private:
  struct Expression {
    std::string name;
    std::function<void(Message&)> data;
  };
  auto family_is(bool v4) -> void;
  auto payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length) -> void;
  auto compare(bool equal, std::span<const std::uint8_t> value) -> void;
  auto verdict(std::int32_t code, std::string_view chain) -> Rule&;

  Table table_;
  std::string chain_;
  std::string comment_;
  bool family_known_ = false;
  std::vector<Expression> expressions_;
};

// A rule as the kernel lists it, with what is needed to know whose it is. Also of the rules that iptables-nft
// writes, whose comments are matches of x_tables' own (struct xt_comment_info).
struct Listed {
  std::string chain;
  std::uint64_t handle = 0;
  std::string comment;                // "" if none
  std::string input_interface;        // of an iifname comparison, "" if none
  std::optional<Mac> ether_source;    // that the frame's source must be
  std::string target;                 // as after iptables' -j: the chain of a jump or goto, "ACCEPT", "MASQUERADE" ...
  bool is_conditional = false;        // it asks for something before it does what `target` says
  std::optional<Prefix> source;       // that the source address must be in; where the family is known
  std::optional<Prefix> destination;  // that the destination must be in, or
  bool destination_is_outside = false;  // must not be in
};
// The rules of a chain, or of the whole table if `chain` is ""; none if there is no such chain or table.
[[nodiscard]] auto list_rules(NetlinkSocket& socket, const Table& table, std::string_view chain)
    -> Answer<std::vector<Listed>>;
// From a message's payload; nullopt if it is none.
[[nodiscard]] auto parse_rule(std::span<const std::uint8_t> payload) -> std::optional<Listed>;

// A comment may have this many bytes (nft: NFTNL_UDATA_COMMENT_MAXLEN, without its zero).
inline constexpr std::size_t most_comment = 128;
inline constexpr std::size_t most_name = 255;  // of a chain (NFT_NAME_MAXLEN, without its zero)
// User data is a list of (type, length, value) that only nft(8) reads: type 0 is a comment with its zero.
[[nodiscard]] auto user_data(std::string_view comment) -> std::vector<std::uint8_t>;

}  // namespace weir::cni::nft
