#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <optional>
#include <span>

#include "cni/kernel/refusal.h"

namespace weir::cni {

// One message of the kernel's. Its payload is a view into the datagram.
struct NetlinkReply {
  nlmsghdr header;
  std::span<const std::uint8_t> payload;
};
// Takes the next message off a received datagram; nullopt at its end, and if what is left is no message.
[[nodiscard]] auto take_reply(std::span<const std::uint8_t>& rest) -> std::optional<NetlinkReply>;

// The refusal that an NLMSG_ERROR carries; code 0 is an acknowledgement.
[[nodiscard]] auto refusal_of(const NetlinkReply& reply) -> Refusal;

}  // namespace weir::cni
