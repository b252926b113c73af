// The executables `bridge` and `host-local`: one program, which the name it is called by makes one or the
// other. A name that holds "host-local" makes the latter, so that a prefix or suffix may be added.
#include <string_view>

#include "cni/bridge/plugin.h"
#include "cni/host_local/plugin.h"

auto main(int count, char** words) -> int {
  std::string_view name = count > 0 ? words[0] : "";
  name.remove_prefix(name.rfind('/') + 1);  // npos + 1 is 0
  const bool is_ipam = name.find("host-local") != std::string_view::npos;
  return weir::cni::run_plugin(is_ipam ? weir::cni::host_local::plugin() : weir::cni::bridge::plugin());
}
