// The executables `bridge` and `host-local`: one program, which the name it is called by makes one or the
// other. A name that holds "host-local" makes the latter, so that a prefix or suffix may be added.
#include <cstdio>
#include <string_view>

#include "base/standard_descriptors.h"
#include "cni/bridge/plugin.h"
#include "cni/host_local/plugin.h"

namespace {

// For people: a runtime gives no arguments.
auto help(bool is_ipam) -> int {
  std::printf(
      "%s is a CNI plugin: container runtimes run it, with CNI_COMMAND (ADD, DEL, CHECK, GC, STATUS or VERSION),\n"
      "CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME and CNI_PATH in the environment and a network's configuration on stdin.\n"
      "Beside which runtimes, and every key: docs/cni.md, or `man weir-cni-%s`. By hand:\n"
      "  CNI_COMMAND=VERSION %s\n",
      is_ipam ? "host-local" : "bridge", is_ipam ? "host-local" : "bridge", is_ipam ? "./host-local" : "./bridge");
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace

auto main(int count, char** words) -> int {
  weir::open_standard_descriptors();
  std::string_view name = count > 0 ? words[0] : "";
  name.remove_prefix(name.rfind('/') + 1);  // npos + 1 is 0
  const bool is_ipam = name.find("host-local") != std::string_view::npos;
  for (int i = 1; i < count; ++i) {
    if (words[i] == std::string_view("--help") || words[i] == std::string_view("-h")) return help(is_ipam);
  }
  return weir::cni::run_plugin(is_ipam ? weir::cni::host_local::plugin() : weir::cni::bridge::plugin());
}
