#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "cni/kernel/netlink_socket.h"
#include "cni/kernel/nft.h"
#include "cni/spec/error.h"

namespace weir::cni::bridge {

// Changes of nf_tables that others change meanwhile, too. An addition is one transaction that only adds: an update or
// deletion in it would cost 15 ms at the socket's close, in a plugin whose whole ADD takes four. Tables and base chains
// are never deleted.

using Messages = Answer<std::vector<Message>>;

[[nodiscard]] auto failed(std::string_view what, const Refusal& refusal) -> Failure;

// Builds messages with `make` (which looks first, and is told why it is asked again) and sends them, again while
// others interfere.
using Make = std::function<Messages(const Refusal& last)>;
[[nodiscard]] auto change(NetlinkSocket& socket, std::string_view what, const Make& make) -> Result<void>;

// Whether rules in the table's base chain see packets: `base` none if the chain, or the table too, has to be made. An
// error if somebody has the names for something else: rules would be added, and do nothing.
struct Ground {
  nft::TableState table = nft::TableState::none;
  nft::ChainState base = nft::ChainState::none;
  [[nodiscard]] auto is_laid() const -> bool {
    return table == nft::TableState::awake && base == nft::ChainState::at_hook;
  }
};
[[nodiscard]] auto look_at(NetlinkSocket& socket, const nft::Table& table, std::string_view chain,
                           const nft::Hook& hook) -> Answer<Ground>;
[[nodiscard]] auto usable(const Ground& ground, const nft::Table& table, std::string_view chain, const nft::Hook& hook)
    -> Answer<void>;

}  // namespace weir::cni::bridge
