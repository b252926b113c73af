// Addresses as a test writes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/address.h"

namespace weir {

inline auto ip(std::string_view host, std::uint16_t port) -> Address { return Address::parse_ip(host, port).value(); }
inline auto unix_socket(std::string path) -> Address { return Address(Address::Unix{std::move(path)}); }

}  // namespace weir
