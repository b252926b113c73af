// Names that this machine itself gives to addresses.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"

namespace weir::api {

// The address of a name in /etc/hosts (hosts(5)), the first IPv4 one if there is one, as Go's net.Listen takes it.
// Asks no name server, so it cannot hang: what can be listened on is an address of this machine, and its own names
// stand in this file - a container's too. At most a MiB of it is read.
[[nodiscard]] auto find_in_hosts(std::string_view name, std::uint16_t port, const std::string& file = "/etc/hosts")
    -> std::optional<Address>;

}  // namespace weir::api
