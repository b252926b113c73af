#include "cni/bridge/host_side.h"
#include "cni/bridge/plugin.h"
#include "cni/bridge/ports.h"
#include "cni/bridge/rules.h"
#include "cni/host_local/plugin.h"

namespace weir::cni::bridge {

// What an ADD would find out before it touched anything, and the IPAM plugin's own answer.
auto status(const Request& request) -> Result<void> {
  auto config = parse_config(request);
  if (!config) return Failure(config.error());
  if (auto good = check_for_add(*config); !good) return good;
  if (is_host_local(*config) && host_local::gives_ipv6(request)) {
    if (auto good = check_ipv6_mtu(*config, {}); !good) return good;
  }
  auto host = open_route_socket();
  if (!host) return Failure(host.error());
  const auto unavailable = [](const Error& error) { return fail(ErrorCode::plugin_not_available, error.msg); };
  const auto bridge = find_bridge(*host, config->bridge);
  if (!bridge) return unavailable(bridge.error());
  if (auto good = can_masquerade(*config); !good) return unavailable(good.error());
  if (!config->ipam.empty()) {
    if (const auto file = find_plugin(config->ipam, request.environment.path); !file) return unavailable(file.error());
  }
  const auto ipam = run_ipam(request, Command::status, *config);
  if (!ipam) return Failure(ipam.error());
  return {};
}

}  // namespace weir::cni::bridge
