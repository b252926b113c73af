// The executables `bridge` and `host-local`: one program, which the name it is called by makes one or the
// other. A name that holds "host-local" makes the latter, so that a prefix or suffix may be added.
#include <string_view>

#include "cni/host_local/plugin.h"

auto main(int count, char** words) -> int {
  (void)count, (void)words;
  return weir::cni::run_plugin(weir::cni::host_local::plugin());
}
