#include "cni/kernel/netlink_reply.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "cni/kernel/netlink_alignment.h"
#include "cni/kernel/netlink_attributes.h"

namespace weir::cni {

auto take_reply(std::span<const std::uint8_t>& rest) -> std::optional<NetlinkReply> {
  NetlinkReply one{};
  if (rest.size() < sizeof(one.header)) return std::nullopt;
  std::memcpy(&one.header, rest.data(), sizeof(one.header));
  if (one.header.nlmsg_len < sizeof(one.header) || one.header.nlmsg_len > rest.size()) return std::nullopt;
  one.payload = rest.subspan(sizeof(one.header), one.header.nlmsg_len - sizeof(one.header));
  rest = rest.subspan(std::min(netlink_aligned(one.header.nlmsg_len), rest.size()));
  return one;
}

auto refusal_of(const NetlinkReply& reply) -> Refusal {
  nlmsgerr error{};
  if (reply.payload.size() < sizeof(error.error)) return {};
  std::memcpy(&error, reply.payload.data(), std::min(reply.payload.size(), sizeof(error)));
  Refusal refusal{-error.error, {}, 0};
  if ((reply.header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return refusal;
  std::size_t skip = sizeof(error);
  if ((reply.header.nlmsg_flags & NLM_F_CAPPED) == 0 && error.msg.nlmsg_len >= sizeof(nlmsghdr)) {
    skip += netlink_aligned(error.msg.nlmsg_len - sizeof(nlmsghdr));
  }
  if (skip < reply.payload.size()) refusal.said = Attributes(reply.payload.subspan(skip)).text(NLMSGERR_ATTR_MSG);
  return refusal;
}

}  // namespace weir::cni
