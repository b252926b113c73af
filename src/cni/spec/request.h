#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cni/spec/error.h"
#include "cni/spec/ip.h"
#include "cni/spec/json.h"

namespace weir::cni {

enum class Command { add, del, check, gc, status, version };
[[nodiscard]] auto name_of(Command command) -> std::string_view;

// What the runtime put into the environment (SPEC.md, "Parameters"); an absent variable is "".
struct Environment {
  std::string command;
  std::string container_id;
  std::string netns;
  std::string ifname;
  std::string args;
  std::string path;
  bool netns_override = false;  // CNI_NETNS_OVERRIDE, as the reference: allow the host's own namespace

  [[nodiscard]] static auto of_process() -> Environment;
};

// One call of a plugin, checked: what follows may rely on it. A value.
//
// `free_remains` is for an ADD of host-local in the process of the plugin that calls it: whether nothing of an earlier
// attachment of the same names lives any more. If so, what it left but for its leases, of the addresses `leased`, is
// gone when the function returns, so that they may be given again. Called under the leases' lock. Empty where nobody
// can know.
struct Request {
  Command command = Command::version;
  Environment environment;
  std::string input;    // the bytes of stdin; an IPAM plugin gets the same
  Json config;          // an object
  std::string version;  // of the specification: config's cniVersion, one of spec_versions
  std::string name;     // of the network: [a-zA-Z0-9][a-zA-Z0-9_.-]*
  std::function<Result<bool>(const std::vector<Ip>& leased)> free_remains = {};
};

// Which command the environment asks for, and whether all its variables are there and well-formed. A container ID of
// more than 1024 bytes is refused for an ADD.
[[nodiscard]] auto check_environment(const Environment& environment) -> Result<Command>;

// Checks `input` for `command` in the reference's order: JSON, name, version, whether the version has the
// command, the types of what every configuration may have. Nothing outside is looked at.
[[nodiscard]] auto parse_request(Command command, Environment environment, std::string input) -> Result<Request>;

}  // namespace weir::cni
