// Keeps a proxy's port for it while it is held down.
#pragma once

#include <vector>

#include "base/fd.h"
#include "base/listen_address.h"

namespace weir::control {

// Sockets that are bound and do not listen: who connects is refused, as on a free port, but nobody else gets
// the port, neither by asking for it nor from the kernel's own choice (tests in parallel take thousands).
// Best effort: where it cannot be kept, nothing is.
class PortKeeper {
 public:
  [[nodiscard]] static auto keep(const ListenAddress& address) -> PortKeeper;
  void release() { sockets_.clear(); }

 private:
  std::vector<Fd> sockets_;
};

}  // namespace weir::control
