#pragma once

#include <string>
#include <string_view>

#include "cni/spec/plugin.h"
#include "cni/spec/waits.h"

namespace weir::cni {

// How a plugin calls its IPAM plugin (SPEC.md, "Delegated Plugins"): found by name in CNI_PATH, run with
// our environment but for CNI_COMMAND and with the very bytes of our stdin. `builtin` is the one that this
// executable holds itself: where the file found is our own inode and its name holds the builtin's, it is called in this
// process, which saves an exec of about a millisecond; a file of another's under the same name is run like any other.
class Delegate {
 public:
  explicit Delegate(const Plugin& builtin) : builtin_(&builtin) {}

  // Runs `type` for `command`, which may differ from the request's own (DEL after a failed ADD). An error
  // of the plugin comes back with the code it gave; one that takes longer than `seconds` is killed.
  [[nodiscard]] auto run(const Request& request, Command command, const std::string& type,
                         int seconds = longest_ipam_s) const -> Result<AddResult>;

 private:
  const Plugin* builtin_;
};

// The path of the first regular file called `type` in the ':'-separated folders of `path`.
[[nodiscard]] auto find_plugin(std::string_view type, std::string_view path) -> Result<std::string>;

}  // namespace weir::cni
