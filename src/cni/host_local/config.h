#pragma once

#include <string>
#include <vector>

#include "cni/host_local/range.h"
#include "cni/spec/request.h"
#include "cni/spec/result.h"

namespace weir::cni::host_local {

// The `ipam` section of a network configuration with what CNI_ARGS, args and runtimeConfig add to it.
struct Config {
  std::string data_dir = "/var/lib/cni/networks";
  std::string resolv_conf;  // "" for none
  std::vector<Route> routes;
  std::vector<RangeSet> sets;  // at least one; no two overlap
  std::vector<Ip> requested;   // in order of CNI_ARGS, args.cni.ips, runtimeConfig.ips, without repeats
  // Ours alone: free leases of an earlier boot that we stamped ourselves ("reclaimAfterReboot").
  bool reclaim_after_reboot = false;
};

// Every error is what the reference says, code 999; but an ADD or STATUS of more than 1024 range sets or requested
// addresses, or 65536 routes, is refused with code 7.
[[nodiscard]] auto parse_config(const Request& request) -> Result<Config>;

}  // namespace weir::cni::host_local
