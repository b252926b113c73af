// Room engine/, floor 7: from a ProxySpec to listeners, workers and observers, and to their orderly
// end. tap, serve and demo all start here. Includes base/, net/, event/, fault/ and proxy/.
// Start with this file, then engine.h, then lifecycle.h (signals, drain, summary).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "fault/fault_list.h"
#include "proxy/settings.h"

namespace weir::engine {

// A proxy for the engine: its rules, and what only the program that runs it decides.
struct ProxySpec {
  std::string name = "tap";
  proxy::ProxyRules rules;
  // A listening socket that exists already, in place of rules.listen: inherited from the parent (systemd), or
  // received over a Unix socket. Another process may hold it too.
  std::shared_ptr<const Fd> given_listener;
  // Both sockets are made in this network namespace; the descriptor must stay open. None: our own.
  std::optional<int> network_namespace;
  std::optional<std::uint64_t> accept_limit;
  std::optional<Address> forbidden;                // never dialled: our own API
  std::shared_ptr<const fault::FaultList> faults;  // null: none
};

}  // namespace weir::engine
