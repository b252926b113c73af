#include "cni/kernel/netlink_message.h"

#include <linux/netlink.h>

#include "cni/kernel/netlink_alignment.h"

namespace weir::cni {

Message::Message(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  append(&header, sizeof(header));
}

auto Message::append(const void* data, std::size_t size) -> void {
  const auto* first = static_cast<const std::uint8_t*>(data);
  bytes_.insert(bytes_.end(), first, first + size);
  bytes_.resize(netlink_aligned(bytes_.size()));
}

auto Message::bytes(std::uint16_t type, std::span<const std::uint8_t> value) -> Message& {
  const nlattr attribute{.nla_len = static_cast<std::uint16_t>(sizeof(nlattr) + value.size()), .nla_type = type};
  append(&attribute, sizeof(attribute));
  if (!value.empty()) append(value.data(), value.size());
  return *this;
}

auto Message::text(std::uint16_t type, std::string_view value) -> Message& {
  std::vector<std::uint8_t> raw(value.begin(), value.end());
  raw.push_back(0);
  return bytes(type, raw);
}

auto Message::begin(std::uint16_t type) -> std::size_t {
  const auto at = bytes_.size();
  bytes(static_cast<std::uint16_t>(type | NLA_F_NESTED), {});
  return at;
}

auto Message::end(std::size_t at) -> void {
  const auto size = static_cast<std::uint16_t>(bytes_.size() - at);
  std::memcpy(&bytes_[at], &size, sizeof(size));
}

auto Message::finish(std::uint32_t sequence) -> std::span<const std::uint8_t> {
  nlmsghdr header{};
  std::memcpy(&header, bytes_.data(), sizeof(header));
  header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
  header.nlmsg_seq = sequence;
  std::memcpy(bytes_.data(), &header, sizeof(header));
  return bytes_;
}

auto Message::acknowledge(bool wanted) -> void {
  nlmsghdr header{};
  std::memcpy(&header, bytes_.data(), sizeof(header));
  header.nlmsg_flags = static_cast<std::uint16_t>(wanted ? header.nlmsg_flags | NLM_F_ACK
                                                         : header.nlmsg_flags & ~static_cast<unsigned>(NLM_F_ACK));
  std::memcpy(bytes_.data(), &header, sizeof(header));
}

}  // namespace weir::cni
