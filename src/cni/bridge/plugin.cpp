#include "cni/bridge/plugin.h"

#include "cni/host_local/plugin.h"

namespace weir::cni::bridge {

auto plugin() -> const Plugin& {
  static constexpr Plugin plugin{.name = "bridge", .add = add, .del = del, .check = check, .gc = gc, .status = status};
  return plugin;
}

auto attachment_of(const Request& request) -> Attachment {
  return {request.environment.container_id, request.environment.ifname};
}

auto run_ipam(const Request& request, Command command, const Config& config, int seconds) -> Result<AddResult> {
  if (config.ipam.empty()) return AddResult{};
  return Delegate(host_local::plugin()).run(request, command, config.ipam, seconds);
}

auto is_host_local(const Config& config) -> bool { return config.ipam == host_local::plugin().name; }

auto leased_to(const Request& request, const Config& config) -> std::vector<Ip> {
  if (!is_host_local(config)) return {};
  return host_local::leased_addresses(request);
}

}  // namespace weir::cni::bridge
