#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cni/spec/error.h"
#include "cni/spec/request.h"
#include "cni/spec/result.h"

namespace weir::cni {

// A CNI plugin is these five functions; run_plugin does the rest: it reads the environment and stdin,
// checks all of it before anything is touched, calls the one that was asked for, and prints its result in
// the version that the runtime speaks, or its error. See host_local/plugin.cpp for a whole one.
//   add     makes the attachment and undoes all of it before it returns an error.
//   del     undoes what is left of an attachment; finding nothing is success.
//   check   errors if the attachment is not as prevResult says.
//   gc      frees what belongs to this network and to none of config's valid attachments.
//   status  errors if an ADD could not work now.
struct Plugin {
  std::string_view name;
  auto(*add)(const Request&) -> Result<AddResult>;
  auto(*del)(const Request&) -> Result<void>;
  auto(*check)(const Request&) -> Result<void>;
  auto(*gc)(const Request&) -> Result<void>;
  auto(*status)(const Request&) -> Result<void>;
};

// One call of a plugin with everything it reads and writes; returns the exit code. `err` is what belongs on stderr.
// `write_output` takes what belongs on stdout and says whether it got there: a result that did not is of an attachment
// that nobody knows, and the call fails and undoes it.
struct Streams {
  auto(*read_input)() -> Result<std::string>;
  std::function<bool(std::string_view)> write_output;
  std::string err;
};
[[nodiscard]] auto call_plugin(const Plugin& plugin, Environment environment, Streams& streams) -> int;

// main() of a plugin: the process's own environment and streams.
[[nodiscard]] auto run_plugin(const Plugin& plugin) -> int;

// Calls the function of `plugin` for `request` in this process. ADD's result comes back, all others give
// an empty one.
[[nodiscard]] auto dispatch(const Plugin& plugin, const Request& request) -> Result<AddResult>;

// The attachments that a GC is to keep: config's cni.dev/valid-attachments or, as older runtimes spell it,
// cni.dev/attachments. Absent is an error: an old runtime that knows no such key must not lose everything.
struct Attachment {
  std::string container_id;
  std::string ifname;
  auto operator<=>(const Attachment&) const = default;
};
[[nodiscard]] auto valid_attachments(const Request& request) -> Result<std::vector<Attachment>>;

}  // namespace weir::cni
