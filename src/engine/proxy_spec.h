// Room engine/, floor 7: from a ProxySpec to listeners, workers and observers, and to their orderly
// end. tap, serve and demo all start here. Includes base/, net/, event/, fault/ and proxy/.
// Start with this file, then engine.h, then lifecycle.h (signals, drain, summary).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/address.h"
#include "base/fd.h"
#include "fault/byte_budget.h"
#include "fault/fault_list.h"
#include "proxy/settings.h"

namespace weir::engine {

// Bind it here.
struct BindAddress {
  ListenAddress address;
};
// A listening socket that exists already: inherited from the parent (systemd), or received over a
// Unix socket. Another process may hold it too.
struct GivenListener {
  std::shared_ptr<const Fd> socket;
};
using ListenerSource = std::variant<BindAddress, GivenListener>;

// A named rule: listen here, connect there, with these timeouts. What the command line, and later the
// configuration file and the API, are turned into.
struct ProxySpec {
  std::string name = "tap";
  ListenerSource listen;
  UpstreamAddress upstream;
  // Both sockets are made in this network namespace; the descriptor must stay open. None: our own.
  std::optional<int> network_namespace;
  proxy::Timeouts timeouts;
  std::optional<int> keepalive_count;
  proxy::OnConnectFailure on_connect_failure = proxy::OnConnectFailure::reset;
  std::optional<std::uint64_t> max_sessions;
  std::optional<std::uint64_t> accept_limit;
  std::optional<Address> forbidden;                              // never dialled: our own API
  std::shared_ptr<const fault::FaultList> faults;                // null: none
  std::uint64_t fault_queue_limit = fault::default_queue_limit;  // bytes that faults may hold in one direction
};

}  // namespace weir::engine
