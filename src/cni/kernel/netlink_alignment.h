#pragma once

#include <cstddef>

namespace weir::cni {

// Messages and attributes begin at multiples of four bytes (netlink(7): NLMSG_ALIGNTO, NLA_ALIGNTO).
constexpr auto netlink_aligned(std::size_t size) -> std::size_t { return (size + 3) & ~std::size_t{3}; }

}  // namespace weir::cni
