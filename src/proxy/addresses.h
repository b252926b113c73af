#pragma once

#include <optional>
#include <utility>

#include "base/address.h"
#include "base/upstream_address.h"

namespace weir::proxy {

// The addresses of a session by their role, so that none can be taken for another. Values.
template <class Role>
struct AddressInRole {
  Address address;
  explicit AddressInRole(Address its_address) : address(std::move(its_address)) {}
  auto operator==(const AddressInRole&) const -> bool = default;
};

// The peer that connected to us, or who a handshake says is behind it.
using ClientAddress = AddressInRole<struct ClientRole>;
// Our own address that the client reached.
using LocalAddress = AddressInRole<struct LocalRole>;
// Where the client had meant to connect before the kernel redirected it to us (SO_ORIGINAL_DST).
using OriginalDestination = AddressInRole<struct OriginalDestinationRole>;
// One address of the upstream that is tried.
using ServerAddress = AddressInRole<struct ServerRole>;
// Our own address that we connect from.
using SourceAddress = AddressInRole<struct SourceRole>;

// Where to connect: an address, or a name that is looked up.
struct UpstreamTarget {
  UpstreamAddress to;
};

}  // namespace weir::proxy
