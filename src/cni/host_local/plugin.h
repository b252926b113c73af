#pragma once

#include <vector>

#include "cni/spec/plugin.h"

namespace weir::cni::host_local {

// The IPAM plugin `host-local`: addresses of configured ranges, leased in files on this host (Store).
[[nodiscard]] auto plugin() -> const Plugin&;

// The addresses that the request's attachment has, for a caller that holds host-local itself; empty if the
// request's IPAM is another or none can be read.
[[nodiscard]] auto leased_addresses(const Request& request) -> std::vector<Ip>;

// Whether an ADD would lease IPv6 addresses; false if the configuration cannot be read.
[[nodiscard]] auto gives_ipv6(const Request& request) -> bool;

// Every lease of the request's network; an older plugin's has an owner without an interface.
struct Lease {
  Ip ip;
  Attachment owner;
};
[[nodiscard]] auto all_leases(const Request& request) -> std::vector<Lease>;

}  // namespace weir::cni::host_local
