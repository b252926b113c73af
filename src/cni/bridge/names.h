#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/spec/ip.h"
#include "cni/spec/plugin.h"

namespace weir::cni::bridge {

// Names that tell whose a thing is. All are made of (network, container, interface); the formats of chains
// and comments are the reference's, because other programs read them.

// Our end of the pair: "veth" and 11 hex digits of sha512. 44 bits of it and the MAC below decide whether a
// link may be deleted, so both are set by the very message that makes the link.
[[nodiscard]] auto host_veth(std::string_view network, const Attachment& owner) -> std::string;
// Locally administered, of the network and the link's name: a link that is found by its name and has this
// MAC was made by us for this network, even if we were killed before it got its alias.
[[nodiscard]] auto host_mac(std::string_view network, std::string_view link) -> Mac;
[[nodiscard]] auto random_mac() -> Mac;

// "cni net=N if=I id=C ip=A,B": for people, and for GC. Cut where the kernel's 255 bytes end; a cut one
// names nobody.
struct LinkAlias {
  std::string network;
  Attachment attachment;
  std::string addresses;  // as written, parted by commas
};
[[nodiscard]] auto alias_of(const LinkAlias& owner) -> std::string;
[[nodiscard]] auto parse_alias(std::string_view alias) -> std::optional<LinkAlias>;
[[nodiscard]] auto addresses_named(const LinkAlias& alias) -> std::vector<Ip>;

// "CNI-" and 24 hex digits, one chain for all interfaces of a container; and its rules' comment, cut where the
// kernel's 255 bytes end (struct xt_comment_info).
inline constexpr std::size_t most_iptables_comment = 255;
[[nodiscard]] auto iptables_chain(std::string_view network, std::string_view container) -> std::string;
[[nodiscard]] auto iptables_comment(std::string_view network, std::string_view container) -> std::string;

// "<16 hex of the network>-<16 hex of interface:container>" and the comment that begins with it.
[[nodiscard]] auto nft_network_hash(std::string_view network) -> std::string;
[[nodiscard]] auto nft_hash(std::string_view network, const Attachment& owner) -> std::string;
[[nodiscard]] auto nft_comment(std::string_view network, const Attachment& owner) -> std::string;
// The hash that a comment begins with, "" if it begins with none.
[[nodiscard]] auto nft_hash_in(std::string_view comment) -> std::string_view;

// "<container>-<interface>", of which the spoof check's chains and comments are made.
[[nodiscard]] auto spoof_id(const Attachment& owner) -> std::string;

}  // namespace weir::cni::bridge
