#pragma once

#include "cni/bridge/config.h"
#include "cni/spec/delegate.h"
#include "cni/spec/plugin.h"

namespace weir::cni::bridge {

// The plugin `bridge`: a veth pair between a container and a bridge on the host.
[[nodiscard]] auto plugin() -> const Plugin&;

// Its five operations, one file each.
[[nodiscard]] auto add(const Request& request) -> Result<AddResult>;
[[nodiscard]] auto del(const Request& request) -> Result<void>;
[[nodiscard]] auto check(const Request& request) -> Result<void>;
[[nodiscard]] auto gc(const Request& request) -> Result<void>;
[[nodiscard]] auto status(const Request& request) -> Result<void>;

[[nodiscard]] auto attachment_of(const Request& request) -> Attachment;
// Runs the network's IPAM plugin; nothing is run for a network without one.
[[nodiscard]] auto run_ipam(const Request& request, Command command, const Config& config, int seconds = longest_ipam_s)
    -> Result<AddResult>;
[[nodiscard]] auto is_host_local(const Config& config) -> bool;
// The addresses that host-local leased to the attachment; empty for another IPAM plugin.
[[nodiscard]] auto leased_to(const Request& request, const Config& config) -> std::vector<Ip>;

}  // namespace weir::cni::bridge
