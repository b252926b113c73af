#include "cni/kernel/netlink_attributes.h"

#include <linux/netlink.h>

#include <algorithm>

#include "cni/kernel/netlink_alignment.h"

namespace weir::cni {

auto Attributes::take(std::span<const std::uint8_t>& rest) -> std::optional<One> {
  nlattr attribute{};
  if (rest.size() < sizeof(attribute)) return std::nullopt;
  std::memcpy(&attribute, rest.data(), sizeof(attribute));
  if (attribute.nla_len < sizeof(attribute) || attribute.nla_len > rest.size()) return std::nullopt;
  const One one{.type = static_cast<std::uint16_t>(attribute.nla_type & NLA_TYPE_MASK),
                .value = rest.subspan(sizeof(attribute), attribute.nla_len - sizeof(attribute))};
  rest = rest.subspan(std::min(netlink_aligned(attribute.nla_len), rest.size()));
  return one;
}

auto Attributes::find(std::uint16_t type) const -> std::optional<std::span<const std::uint8_t>> {
  auto rest = bytes_;
  while (const auto one = take(rest)) {
    if (one->type == type) return one->value;
  }
  return std::nullopt;
}

auto Attributes::text(std::uint16_t type) const -> std::string {
  const auto found = find(type);
  if (!found) return {};
  return {found->begin(), std::find(found->begin(), found->end(), std::uint8_t{0})};
}

auto Attributes::nested(std::uint16_t type) const -> Attributes {
  return Attributes(find(type).value_or(std::span<const std::uint8_t>{}));
}

}  // namespace weir::cni
